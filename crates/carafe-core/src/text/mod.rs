//! Text generation: from a request to events, token by token.
//!
//! Data flows through the modules in this order: [`Tokenizer`](crate::tokenizer::Tokenizer) (text
//! to tokens), [`Request`] (checked once), [`Generator`] (the loop: sequences in, inferences of the
//! model, events out). In an iteration the `scheduler` decides which sequences compute which
//! tokens, in turn between `tenants`, with blocks of the `kv_cache` and the `draft` tokens of each;
//! `model_inputs` assembles the tensors, a [`ModelRunner`] runs the model, and the
//! `output_processor` turns logits into tokens: [`Penalties`], [`Sampler`], then whole characters
//! and stop strings (`output_text`) on the way to the [`Event`].
//!
//! Limits: [`MAX_TEXT_BYTES`](crate::tokenizer::MAX_TEXT_BYTES) of text to encode, [`MAX_WAITING`]
//! requests in the queue, [`MAX_STOPS`] stop strings of [`MAX_STOP_BYTES`] bytes,
//! [`MAX_LOGIT_BIASES`] biased tokens, [`MAX_LOGPROBS`] alternatives a token, and those of the
//! [`TextModel`].

mod block_pool;
mod conversation;
mod draft;
mod event;
mod generator;
mod kv_cache;
mod logit_stats;
mod logprobs;
mod math;
mod model;
mod model_inputs;
mod model_runner;
mod output_processor;
mod output_text;
mod penalties;
mod preparer;
mod prompt;
mod ranking;
mod reasoning;
mod request;
mod request_error;
pub mod rng;
mod sampler;
mod sampling;
mod scheduler;
mod sequence;
mod stop;
mod tenants;
mod wit;

pub use carafe_tensor::{DECODER_INPUTS, Role, error_chain};
pub use conversation::Conversations;
pub use event::{Event, EventKind, FailureKind, FinishReason, PromptToken};
pub use generator::{Generator, MAX_WAITING, Stats};
pub use logit_stats::LogitError;
pub use logprobs::{MAX_LOGPROBS, MIN_LOGPROB, TokenLogprob, TokenLogprobs};
pub use model::{ModelError, PrefixSharing, TextModel};
pub use model_runner::{Logits, ModelInput, ModelRunner, RunError};
pub use penalties::Penalties;
pub use preparer::{PreparedPrompt, Preparer};
pub use prompt::{Prompt, TextPrompt};
pub use reasoning::{Reasoning, ReasoningTags};
pub use request::{Request, ValidRequest};
pub use request_error::{Asked, ContextExceeded, PromptLength, RequestError, RequestErrorCode};
pub use sampler::Sampler;
pub use sampling::{MAX_LOGIT_BIASES, Sampling};
pub use stop::{MAX_STOP_BYTES, MAX_STOPS};
