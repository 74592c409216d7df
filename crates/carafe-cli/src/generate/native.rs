//! A request that runs without WebAssembly: the same core, its forward pass straight over `carafe-openvino`.

use std::collections::VecDeque;

use anyhow::Result;
use carafe_core::text::{self, Forward, ForwardError, Generator, Logits, Step, TextModel, Tokenizer};
use carafe_host::LoadedGraph;
use carafe_host::text as host;
use carafe_models::manifest::Role;
use carafe_openvino::{Context, ElementType, Graph, TensorView};

use super::Source;

/// A generator and its one request.
pub(crate) struct Native {
    generator: Generator<OpenVino>,
    events: VecDeque<host::EventKind>,
}

impl Native {
    /// Makes a generator and submits the request.
    pub(crate) fn start(model: &LoadedGraph, draft_tokens: u32, request: host::Request) -> Result<Self> {
        let mut generator = Self::generator(model, draft_tokens)?;
        generator.submit(core_request(request))?;
        Ok(Self { generator, events: VecDeque::new() })
    }

    /// Makes a generator for a loaded model.
    pub(crate) fn generator(model: &LoadedGraph, draft_tokens: u32) -> Result<Generator<OpenVino>> {
        let (text, bounds) = model.text()?;
        let sizes = TextModel {
            context_length: text.context_length,
            vocabulary_size: text.vocabulary_size,
            end_of_text: text.end_of_text.clone(),
            max_batch: bounds.batch,
            max_step: bounds.step,
            max_logits: bounds.logits,
            max_positions: bounds.positions,
            draft_tokens,
        };
        let tokenizer = Tokenizer::from_bytes(&model.tokenizer()?)?;
        Ok(Generator::new(OpenVino::new(model), tokenizer, sizes)?)
    }
}

impl Source for Native {
    fn next(&mut self) -> Result<Option<host::EventKind>> {
        while self.events.is_empty() && !self.generator.is_idle() {
            let events = self.generator.step();
            let tokenizer = self.generator.tokenizer();
            self.events.extend(events.into_iter().map(|event| host_event(event.kind, tokenizer)));
        }
        Ok(self.events.pop_front())
    }

    fn guest_memory(&self) -> Option<u64> {
        None
    }
}

/// The forward pass over OpenVINO, with the same checks as under wasi:nn.
pub(crate) struct OpenVino {
    graph: Graph,
    /// Names of the inputs, in the order of a step's fields.
    names: [String; 5],
}

impl OpenVino {
    fn new(model: &LoadedGraph) -> Self {
        let roles = [Role::InputIds, Role::PositionIds, Role::AttentionMask, Role::BeamIdx, Role::LogitIdx];
        Self { graph: model.graph().clone(), names: roles.map(|role| model.tensor_name(role)) }
    }
}

impl Forward for OpenVino {
    type Context = Context;

    fn open_context(&mut self) -> Result<Context, ForwardError> {
        self.graph.context().map_err(forward_error)
    }

    fn forward(&mut self, context: &mut Context, step: &Step<'_>, logits: &mut Logits) -> Result<(), ForwardError> {
        let (rows, total) = (step.rows, step.attention_mask.len() / step.rows.max(1));
        let inputs = [
            (vec![rows, step.length], step.input_ids),
            (vec![rows, step.length], step.position_ids),
            (vec![rows, total], step.attention_mask),
            (vec![rows], step.beam_idx),
            (vec![step.logit_idx.len()], step.logit_idx),
        ];
        let tensors = inputs.map(|(dims, values)| carafe_openvino::Tensor::from_i32(&sizes(&dims), values));
        let views: Vec<(&str, TensorView<'_>)> =
            self.names.iter().zip(&tensors).map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let read = |_: &str, output: TensorView<'_>| {
            debug_assert_eq!(output.element, ElementType::F32);
            logits.refill(|values| values.extend(output.f32_values()));
        };
        context.compute_with(&views, read).map_err(forward_error)
    }
}

/// A step is bounded far below 2^32; what would not fit is refused, since its bytes would not match.
fn sizes(dims: &[usize]) -> Vec<u32> {
    dims.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect()
}

fn forward_error(error: carafe_openvino::Error) -> ForwardError {
    ForwardError::new(format!("{:#}", anyhow::Error::new(error)))
}

/// A request of the host in the words of the core.
pub(crate) fn core_request(request: host::Request) -> text::Request {
    let sampling = request.sampling;
    text::Request {
        prompt: match request.prompt {
            host::Prompt::Text(prompt) => text::Prompt::Text(prompt),
            host::Prompt::Tokens(tokens) => text::Prompt::Tokens(tokens),
        },
        max_tokens: request.max_tokens,
        max_tokens_is_default: request.max_tokens_is_default,
        sampling: text::Sampling {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            repetition_penalty: sampling.repetition_penalty,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            logit_bias: sampling.logit_bias,
            seed: sampling.seed,
        },
        stop: request.stop,
        ignore_end_of_text: request.ignore_end_of_text,
        min_tokens: request.min_tokens,
        logprobs: request.logprobs,
        echo: request.echo,
        resume: request.resume,
    }
}

fn host_event(kind: text::EventKind, tokenizer: &Tokenizer) -> host::EventKind {
    match kind {
        text::EventKind::Started { prompt_tokens } => host::EventKind::Started(host::Started { prompt_tokens }),
        text::EventKind::Prompt { text, tokens } => {
            let tokens = tokens.into_iter().map(|token| host::PromptToken {
                id: token.id,
                bytes: bytes(token.id, tokenizer),
                text_offset: token.text_offset,
                logprobs: token.logprobs.map(|logprobs| host_logprobs(logprobs, tokenizer)),
            });
            host::EventKind::Prompt(host::EchoedPrompt { text, tokens: tokens.collect() })
        }
        text::EventKind::Token { id, text, text_offset, logprobs } => {
            let (bytes, logprobs) = (bytes(id, tokenizer), logprobs.map(|logprobs| host_logprobs(logprobs, tokenizer)));
            host::EventKind::Token(host::GeneratedToken { id, bytes, text, text_offset, logprobs })
        }
        text::EventKind::Finished { reason, text, prompt_tokens, generated_tokens } => {
            let reason = match reason {
                text::FinishReason::EndOfText => host::FinishReason::EndOfText,
                text::FinishReason::Stop => host::FinishReason::Stop,
                text::FinishReason::Length => host::FinishReason::Length,
            };
            host::EventKind::Finished(host::Finished { reason, text, prompt_tokens, generated_tokens })
        }
        text::EventKind::Failed { message } => host::EventKind::Failed(message),
    }
}

fn host_logprobs(logprobs: text::TokenLogprobs, tokenizer: &Tokenizer) -> host::TokenLogprobs {
    let top = logprobs.top.iter().map(|token| host::TokenLogprob {
        id: token.id,
        bytes: bytes(token.id, tokenizer),
        logprob: token.logprob,
    });
    host::TokenLogprobs { chosen: logprobs.logprob, top: top.collect() }
}

fn bytes(token: u32, tokenizer: &Tokenizer) -> Vec<u8> {
    tokenizer.token_bytes(token).unwrap_or_default().to_vec()
}
