//! What a user asks for, and the one place where it is checked.
//!
//! [`Request::validate`] turns a [`Request`] into a [`ValidRequest`], which later code trusts. It
//! refuses and never mends: no prompt is truncated and no parameter clamped.

use super::{
    logprobs::MAX_LOGPROBS,
    model::TextModel,
    prompt::{Prompt, TextPrompt},
    reasoning::Reasoning,
    request_error::{Asked, ContextExceeded, PromptLength, RequestError},
    sampling::Sampling,
    stop::{MAX_STOP_BYTES, MAX_STOPS},
};
use crate::tokenizer::Tokenizer;

/// One request for text.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to go on from, at least one token.
    pub prompt: Prompt,
    /// How many tokens to generate at most; 0 reads the prompt and generates nothing.
    pub max_tokens: u32,
    /// Whether `max_tokens` is a default that no client gave. Then it gives way: to `min_tokens`,
    /// and to what the context has room for. A number that a client gave is refused where prompt
    /// and output together would not fit into the context.
    pub max_tokens_is_default: bool,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Texts that end the request: at most [`MAX_STOPS`], each of 1 to [`MAX_STOP_BYTES`] bytes.
    pub stop: Vec<String>,
    /// Whether to go on after an EOS token; it gives no text then, but counts.
    pub ignore_eos: bool,
    /// An EOS token is not chosen before this many tokens; at most `max_tokens`, if a client gave
    /// that. A stop string ends the request even earlier.
    pub min_tokens: u32,
    /// Whether each token comes with its log-probability, and with how many alternatives, at most
    /// [`MAX_LOGPROBS`].
    pub logprobs: Option<u32>,
    /// Whether the prompt is delivered as well, with the log-probabilities of its tokens if those
    /// are asked for.
    pub echo: bool,
    /// What to do with the parts of the output that the model puts between reasoning tags.
    pub reasoning: Reasoning,
    /// Whether special tokens of the output give no text.
    pub skip_special_tokens: bool,
    /// The client whose request it is: whose blocks it may share, and in whose turn it runs.
    pub tenant: u64,
    /// Whether it may begin with blocks of the KV cache that other requests have filled, and they
    /// with its own.
    pub prefix_cache: bool,
    /// Tokens that were generated for this very request before, by a generator that is gone. They
    /// give no events; generation goes on after them as if it had never been interrupted.
    pub resume: Vec<u32>,
}

impl Request {
    /// A request of tenant 0 with every option at its default: sampling with seed 0, no stop
    /// strings, no log-probabilities.
    pub fn new(prompt: Prompt, max_tokens: u32) -> Self {
        Self {
            prompt,
            max_tokens,
            max_tokens_is_default: false,
            sampling: Sampling::default(),
            stop: Vec::new(),
            ignore_eos: false,
            min_tokens: 0,
            logprobs: None,
            echo: false,
            reasoning: Reasoning::InText,
            skip_special_tokens: true,
            tenant: 0,
            prefix_cache: true,
            resume: Vec::new(),
        }
    }

    /// Checks everything that can be checked without the model itself, and turns a text into
    /// tokens.
    pub fn validate(self, model: &TextModel, tokenizer: &Tokenizer) -> Result<ValidRequest, RequestError> {
        if self.min_tokens > self.max_tokens && !self.max_tokens_is_default {
            return Err(RequestError::MinTokens { min_tokens: self.min_tokens, max_tokens: self.max_tokens });
        }
        self.sampling.check()?;
        let biased: Vec<u32> = self.sampling.logit_bias.iter().map(|&(token, _)| token).collect();
        check_tokens("logit_bias", &biased, model, tokenizer)?;
        check_stops(&self.stop)?;
        if let Some(count) = self.logprobs.filter(|&count| count > MAX_LOGPROBS) {
            return Err(RequestError::TooManyLogprobs { count, limit: MAX_LOGPROBS });
        }
        let prompt = prompt_tokens(self.prompt, model, tokenizer)?;
        let asked = if self.max_tokens_is_default {
            Asked::MinTokens(self.min_tokens)
        } else {
            Asked::MaxTokens(self.max_tokens)
        };
        let room = room(PromptLength::Exactly(prompt.len()), asked, model.context_length)?;
        check_tokens("prompt", &prompt, model, tokenizer)?;
        check_tokens("resume", &self.resume, model, tokenizer)?;
        Ok(ValidRequest {
            prompt,
            max_tokens: self.max_tokens.max(self.min_tokens).min(room),
            sampling: self.sampling,
            stop: self.stop,
            ignore_eos: self.ignore_eos,
            min_tokens: self.min_tokens,
            logprobs: self.logprobs,
            echo: self.echo,
            reasoning: self.reasoning,
            skip_special_tokens: self.skip_special_tokens,
            tenant: self.tenant,
            prefix_cache: self.prefix_cache,
            resume: self.resume,
        })
    }
}

/// A request that was checked against a model; fields as in [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidRequest {
    pub(super) prompt: Vec<u32>,
    pub(super) max_tokens: u32,
    pub(super) sampling: Sampling,
    pub(super) stop: Vec<String>,
    pub(super) ignore_eos: bool,
    pub(super) min_tokens: u32,
    pub(super) logprobs: Option<u32>,
    pub(super) echo: bool,
    pub(super) reasoning: Reasoning,
    pub(super) skip_special_tokens: bool,
    pub(super) tenant: u64,
    pub(super) prefix_cache: bool,
    pub(super) resume: Vec<u32>,
}

impl ValidRequest {
    /// The prompt's tokens.
    pub fn prompt(&self) -> &[u32] {
        &self.prompt
    }
}

/// The tokens of the prompt, at least one. A text that cannot fit is not encoded at all: how many
/// tokens it has at least is all that is said of it.
fn prompt_tokens(prompt: Prompt, model: &TextModel, tokenizer: &Tokenizer) -> Result<Vec<u32>, RequestError> {
    let tokens = match prompt {
        Prompt::Tokens(tokens) => tokens,
        Prompt::Chat(_) => return Err(RequestError::UnpreparedChat),
        Prompt::Text(TextPrompt { text, options }) => {
            check_prompt_bytes(text.len(), model, tokenizer)?;
            tokenizer.encode(&text, options).map_err(RequestError::Tokenizer)?
        }
    };
    if tokens.is_empty() { Err(RequestError::EmptyPrompt) } else { Ok(tokens) }
}

/// Refuses a prompt whose bytes would not fit even if all its tokens were the longest.
pub(super) fn check_prompt_bytes(bytes: usize, model: &TextModel, tokenizer: &Tokenizer) -> Result<(), RequestError> {
    let at_least = PromptLength::AtLeast(tokenizer.least_tokens(bytes));
    room(at_least, Asked::Nothing, model.context_length).map(|_| ())
}

/// Refuses tokens that the model does not know, and those that the tokenizer does not: the model
/// may have logits for ids that stand for nothing.
fn check_tokens(
    parameter: &'static str,
    tokens: &[u32],
    model: &TextModel,
    tokenizer: &Tokenizer,
) -> Result<(), RequestError> {
    let vocabulary_size = model.vocabulary_size;
    match tokens.iter().find(|&&token| token >= vocabulary_size || !tokenizer.has_token(token)) {
        Some(&token) if token < vocabulary_size => Err(RequestError::NoToken { parameter, token }),
        Some(&token) => Err(RequestError::UnknownToken { parameter, token, vocabulary_size }),
        None => Ok(()),
    }
}

/// How many tokens may follow the prompt; refuses what does not fit into the context.
fn room(prompt: PromptLength, asked: Asked, context_length: u32) -> Result<u32, RequestError> {
    let room = (context_length as usize).checked_sub(prompt.tokens()).map(|room| room as u32);
    match room {
        Some(room) if asked.tokens() <= room => Ok(room),
        _ => Err(ContextExceeded { prompt, asked, context_length, room }.into()),
    }
}

/// Refuses stop strings that are too many, empty or too long.
fn check_stops(stops: &[String]) -> Result<(), RequestError> {
    if stops.len() > MAX_STOPS {
        return Err(RequestError::TooManyStops { count: stops.len(), limit: MAX_STOPS });
    }
    for (index, stop) in stops.iter().enumerate() {
        if stop.is_empty() {
            return Err(RequestError::EmptyStop { index });
        }
        if stop.len() > MAX_STOP_BYTES {
            return Err(RequestError::StopTooLong { index, bytes: stop.len(), limit: MAX_STOP_BYTES });
        }
    }
    Ok(())
}
