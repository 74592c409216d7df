//! Why a request is refused: every variant names the parameter, its limit and the value.

use super::tokenizer::TokenizerError;

/// Why a request was refused. Nothing of it has been done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is nothing to go on from.
    #[error("`prompt` is empty; it must hold at least 1 token")]
    EmptyPrompt,
    /// The prompt's text has more bytes than the context's tokens could ever hold.
    #[error("`prompt` has {bytes} bytes, more than the {limit} that fit into the model's {context_length} tokens")]
    PromptTooLong {
        /// Its length.
        bytes: usize,
        /// The most that could fit.
        limit: usize,
        /// The model's context length.
        context_length: u32,
    },
    /// The prompt's text could not be turned into tokens.
    #[error("`prompt` cannot be turned into tokens")]
    Tokenizer(#[source] TokenizerError),
    /// A request that may generate nothing.
    #[error("`max_tokens` is 0; it must be at least 1, or 0 with `echo`")]
    ZeroMaxTokens,
    /// Prompt and output together would not fit.
    #[error(
        "`prompt` has {prompt_tokens} tokens and `max_tokens` is {max_tokens}, \
         {total} together; the model's context holds {context_length}"
    )]
    ContextExceeded {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// The request's `max_tokens`.
        max_tokens: u32,
        /// Both together.
        total: usize,
        /// The model's context length.
        context_length: u32,
    },
    /// More tokens are demanded than allowed.
    #[error("`min_tokens` is {min_tokens}; it must be at most `max_tokens`, {max_tokens}")]
    MinTokens {
        /// The request's `min_tokens`.
        min_tokens: u32,
        /// The request's `max_tokens`.
        max_tokens: u32,
    },
    /// A token that the model does not know.
    #[error("`{parameter}` names token {token}; the model's tokens are below {vocabulary_size}")]
    UnknownToken {
        /// Where it was named: `prompt`, `logit_bias` or `resume`.
        parameter: &'static str,
        /// The token.
        token: u32,
        /// The model's vocabulary size.
        vocabulary_size: u32,
    },
    /// A number is out of its range.
    #[error("`{parameter}` must be {range}, got {value}")]
    OutOfRange {
        /// A field of [`super::Sampling`].
        parameter: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        value: f32,
    },
    /// Top-k that would keep nothing.
    #[error("`top_k` is 0; it must be at least 1, or absent to keep every token")]
    ZeroTopK,
    /// Too many biased tokens.
    #[error("`logit_bias` names {count} tokens; at most {limit} are allowed")]
    TooManyBiases {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// One token with two biases.
    #[error("`logit_bias` names token {token} twice")]
    BiasTwice {
        /// The token.
        token: u32,
    },
    /// Too many stop strings.
    #[error("`stop` has {count} strings; at most {limit} are allowed")]
    TooManyStops {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A stop string that would always be found.
    #[error("`stop` string {index} is empty")]
    EmptyStop {
        /// Which one, from 0.
        index: usize,
    },
    /// A stop string that is too long.
    #[error("`stop` string {index} has {bytes} bytes; at most {limit} are allowed")]
    StopTooLong {
        /// Which one, from 0.
        index: usize,
        /// Its length.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Too many alternatives.
    #[error("`logprobs` is {count}; it must be at most {limit}")]
    TooManyLogprobs {
        /// How many were asked for.
        count: u32,
        /// How many there may be.
        limit: u32,
    },
    /// The tokens to resume from leave nothing to generate.
    #[error("`resume` holds {tokens} tokens, and with token {last} of them the request is already finished")]
    ResumeFinished {
        /// How many there are.
        tokens: usize,
        /// The number, from 1, of the one that finishes the request.
        last: usize,
    },
    /// The queue is full; the request may be sent again later.
    #[error("{limit} requests are waiting already; no more are taken until one is done")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
}

impl RequestError {
    /// The parameter that is at fault; none where the request itself is in order.
    pub fn parameter(&self) -> Option<&'static str> {
        match self {
            Self::EmptyPrompt | Self::PromptTooLong { .. } | Self::Tokenizer(_) => Some("prompt"),
            Self::ZeroMaxTokens | Self::ContextExceeded { .. } => Some("max_tokens"),
            Self::MinTokens { .. } => Some("min_tokens"),
            Self::UnknownToken { parameter, .. } | Self::OutOfRange { parameter, .. } => Some(parameter),
            Self::ZeroTopK => Some("top_k"),
            Self::TooManyBiases { .. } | Self::BiasTwice { .. } => Some("logit_bias"),
            Self::TooManyStops { .. } | Self::EmptyStop { .. } | Self::StopTooLong { .. } => Some("stop"),
            Self::TooManyLogprobs { .. } => Some("logprobs"),
            Self::ResumeFinished { .. } => Some("resume"),
            Self::QueueFull { .. } => None,
        }
    }
}
