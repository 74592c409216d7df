//! What a user asks for, and the one place where it is checked.
//!
//! [`Request::validate`] turns a [`Request`] into a [`ValidRequest`], which later code trusts. It refuses and never mends: no prompt
//! is truncated and no parameter clamped.

use super::{
    logprobs::MAX_LOGPROBS,
    model::TextModel,
    request_error::RequestError,
    sampling::Sampling,
    stop::{MAX_STOP_BYTES, MAX_STOPS},
    tokenizer::Tokenizer,
};

/// What the model is to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Text, in which special tokens are text too.
    Text(String),
    /// Tokens, special ones included.
    Tokens(Vec<u32>),
}

/// One request for text.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to go on from, at least one token.
    pub prompt: Prompt,
    /// How many tokens to generate at most, at least 1, or 0 with `echo`; with the prompt at most the model's context length.
    pub max_tokens: u32,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Texts that end the request: at most [`MAX_STOPS`], each of 1 to [`MAX_STOP_BYTES`] bytes.
    pub stop: Vec<String>,
    /// Whether to go on after an end-of-text token; it gives no text then, but counts.
    pub ignore_end_of_text: bool,
    /// End-of-text is not chosen before so many tokens; at most `max_tokens`. A stop string ends the request even earlier.
    pub min_tokens: u32,
    /// Whether each token comes with its log-probability, and with how many alternatives, at most [`MAX_LOGPROBS`].
    pub logprobs: Option<u32>,
    /// Whether the prompt is delivered as well, with the log-probabilities of its tokens if those are asked for.
    pub echo: bool,
    /// Tokens that were generated for this very request before, by a generator that is gone. They give no events; generation goes on
    /// after them as if it had never been interrupted.
    pub resume: Vec<u32>,
}

impl Request {
    /// A request with every option at its default: sampling with seed 0, no stop strings, no log-probabilities.
    pub fn new(prompt: Prompt, max_tokens: u32) -> Self {
        Self {
            prompt,
            max_tokens,
            sampling: Sampling::default(),
            stop: Vec::new(),
            ignore_end_of_text: false,
            min_tokens: 0,
            logprobs: None,
            echo: false,
            resume: Vec::new(),
        }
    }

    /// Checks everything that can be checked without the model itself, and turns a text into tokens.
    pub fn validate(self, model: &TextModel, tokenizer: &Tokenizer) -> Result<ValidRequest, RequestError> {
        if self.max_tokens == 0 && !self.echo {
            return Err(RequestError::ZeroMaxTokens);
        }
        if self.min_tokens > self.max_tokens {
            return Err(RequestError::MinTokens { min_tokens: self.min_tokens, max_tokens: self.max_tokens });
        }
        self.sampling.check(model.vocabulary_size)?;
        check_stops(&self.stop)?;
        if let Some(count) = self.logprobs.filter(|&count| count > MAX_LOGPROBS) {
            return Err(RequestError::TooManyLogprobs { count, limit: MAX_LOGPROBS });
        }
        let prompt = prompt_tokens(self.prompt, model, tokenizer)?;
        check_tokens("prompt", &prompt, model)?;
        check_tokens("resume", &self.resume, model)?;
        check_length(prompt.len(), self.max_tokens, model)?;
        Ok(ValidRequest {
            prompt,
            max_tokens: self.max_tokens,
            sampling: self.sampling,
            stop: self.stop,
            ignore_end_of_text: self.ignore_end_of_text,
            min_tokens: self.min_tokens,
            logprobs: self.logprobs,
            echo: self.echo,
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
    pub(super) ignore_end_of_text: bool,
    pub(super) min_tokens: u32,
    pub(super) logprobs: Option<u32>,
    pub(super) echo: bool,
    pub(super) resume: Vec<u32>,
}

impl ValidRequest {
    /// The prompt's tokens.
    pub fn prompt(&self) -> &[u32] {
        &self.prompt
    }
}

/// The tokens of the prompt, at least one. A text that could not fit even if all its tokens were the longest is not encoded at all.
fn prompt_tokens(prompt: Prompt, model: &TextModel, tokenizer: &Tokenizer) -> Result<Vec<u32>, RequestError> {
    let tokens = match prompt {
        Prompt::Tokens(tokens) => tokens,
        Prompt::Text(text) => {
            let context_length = model.context_length;
            let limit = tokenizer.longest_token().saturating_mul(context_length as usize);
            if text.len() > limit {
                return Err(RequestError::PromptTooLong { bytes: text.len(), limit, context_length });
            }
            tokenizer.encode(&text).map_err(RequestError::Tokenizer)?
        }
    };
    if tokens.is_empty() { Err(RequestError::EmptyPrompt) } else { Ok(tokens) }
}

/// Refuses tokens that the model does not know.
fn check_tokens(parameter: &'static str, tokens: &[u32], model: &TextModel) -> Result<(), RequestError> {
    let vocabulary_size = model.vocabulary_size;
    match tokens.iter().find(|&&token| token >= vocabulary_size) {
        Some(&token) => Err(RequestError::UnknownToken { parameter, token, vocabulary_size }),
        None => Ok(()),
    }
}

/// Refuses a prompt and an output that together do not fit into the context.
fn check_length(prompt_tokens: usize, max_tokens: u32, model: &TextModel) -> Result<(), RequestError> {
    let context_length = model.context_length;
    let total = prompt_tokens.saturating_add(max_tokens as usize);
    if total > context_length as usize {
        return Err(RequestError::ContextExceeded { prompt_tokens, max_tokens, total, context_length });
    }
    Ok(())
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
