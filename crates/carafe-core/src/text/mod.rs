//! Text generation: from a request to events, token by token.
//!
//! Data flows through the modules in this order: [`Tokenizer`] (text to tokens), [`Request`] (checked once), [`Generator`] (the
//! loop: sequences in, steps of the model, events out), where `admission` gives each sequence a row in a `batch` by its `cost`, `plan` says what each row
//! reads in a step, with the guesses of `draft`, and [`Forward`] is the model itself; [`Sampler`] with [`Penalties`] (logits to
//! a token), then whole characters and stop strings (`output_text`) on the way to the [`Event`].
//!
//! Limits: [`MAX_TEXT_BYTES`] of text to encode, [`MAX_STEP`] positions a row and step, [`STEP_POSITIONS`] a step while anybody writes and
//! [`PREFILL_POSITIONS`] else, [`MAX_BATCHES`] contexts, [`MAX_WAITING`] requests in the queue, [`MAX_STOPS`] stop strings of [`MAX_STOP_BYTES`]
//! bytes, [`MAX_LOGIT_BIASES`] biased tokens, [`MAX_LOGPROBS`] alternatives a token.

mod admission;
mod batch;
mod byte_level;
mod cost;
mod draft;
mod event;
mod extremes;
mod forward;
mod generator;
mod logprobs;
mod math;
mod model;
mod output_text;
mod penalties;
mod plan;
mod ranking;
mod request;
mod request_error;
pub mod rng;
mod sampler;
mod sampling;
mod sequence;
mod stop;
mod tokenizer;
mod utf8;

pub use admission::MAX_BATCHES;
pub use event::{Event, EventKind, FinishReason, PromptToken};
pub use extremes::LogitError;
pub use forward::{Forward, ForwardError, Logits, Step};
pub use generator::{Generator, MAX_WAITING, Stats};
pub use logprobs::{MAX_LOGPROBS, MIN_LOGPROB, TokenLogprob, TokenLogprobs};
pub use model::{MAX_STEP, ModelError, TextModel};
pub use penalties::Penalties;
pub use plan::{PREFILL_POSITIONS, STEP_POSITIONS};
pub use request::{Prompt, Request, ValidRequest};
pub use request_error::{Asked, ContextExceeded, PromptLength, RequestError, RequestErrorCode};
pub use sampler::Sampler;
pub use sampling::{MAX_LOGIT_BIASES, Sampling};
pub use stop::{MAX_STOP_BYTES, MAX_STOPS};
pub use tokenizer::{MAX_TEXT_BYTES, Tokenizer, TokenizerError};
