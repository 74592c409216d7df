//! Why a request is refused: every variant names the parameter, its limit and the value.

use std::fmt;

use crate::{chat::ChatError, tokenizer::TokenizerError};

/// What a caller must tell apart in order to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestErrorCode {
    /// A field is not as it must be.
    Invalid,
    /// Prompt and output together would not fit into the model's context.
    ContextLengthExceeded,
    /// Too many requests are waiting; this one may be sent again later.
    QueueFull,
    /// `resume` does not belong to this request.
    InvalidResume,
    /// The model's chat template fails, whatever the conversation.
    TemplateFailed,
}

/// Prompt and output together would not fit into the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct ContextExceeded {
    /// The prompt's length.
    pub prompt: PromptLength,
    /// What is to follow the prompt.
    pub asked: Asked,
    /// The model's context length.
    pub context_length: u32,
    /// How many tokens may follow the prompt; none if the prompt alone does not fit.
    pub room: Option<u32>,
}

/// A prompt's length in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptLength {
    /// This many.
    Exactly(usize),
    /// This many or more: the prompt is a text too long to be worth encoding.
    AtLeast(usize),
}

/// How many tokens a request insists on generating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// None.
    Nothing,
    /// Its `max_tokens`.
    MaxTokens(u32),
    /// Its `min_tokens`, where `max_tokens` is a default.
    MinTokens(u32),
}

impl PromptLength {
    /// The length, or the least that it can be.
    pub(super) fn tokens(self) -> usize {
        match self {
            Self::Exactly(tokens) | Self::AtLeast(tokens) => tokens,
        }
    }
}

impl Asked {
    /// How many they are.
    pub(super) fn tokens(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::MaxTokens(tokens) | Self::MinTokens(tokens) => tokens,
        }
    }

    /// The field that says so; none that asks for nothing.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::MaxTokens(1..) => Some("max_tokens"),
            Self::MinTokens(1..) => Some("min_tokens"),
            Self::Nothing | Self::MaxTokens(0) | Self::MinTokens(0) => None,
        }
    }
}

impl ContextExceeded {
    fn parameter(&self) -> &'static str {
        self.room.and(self.asked.field()).unwrap_or("prompt")
    }
}

impl fmt::Display for ContextExceeded {
    /// Client libraries recognise the error by its first words, which are OpenAI's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "This model's maximum context length is {} tokens; `prompt` has ", self.context_length)?;
        match self.prompt {
            PromptLength::Exactly(tokens) => write!(formatter, "{tokens}")?,
            PromptLength::AtLeast(tokens) => write!(formatter, "at least {tokens}")?,
        }
        if let Some(field) = self.asked.field() {
            write!(formatter, " and `{field}` is {}", self.asked.tokens())?;
        }
        match self.room {
            Some(room) => write!(formatter, "; the largest `max_tokens` that fits is {room}"),
            None => write!(formatter, "; no `max_tokens` fits, shorten `prompt`"),
        }
    }
}

/// Why a request was refused. Nothing of it has been done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is nothing to go on from.
    #[error("`prompt` is empty; it must hold at least 1 token")]
    EmptyPrompt,
    /// The prompt's text could not be turned into tokens.
    #[error("`prompt` cannot be turned into tokens")]
    Tokenizer(#[source] TokenizerError),
    /// The prompt is a conversation, and the model's makers gave no template for those.
    #[error(
        "the model has no chat template, so it cannot answer `messages`; send the whole text as `prompt` of a completion"
    )]
    NoChatTemplate,
    /// The rendered conversation could not be turned into tokens.
    #[error("`{field}` cannot be turned into tokens")]
    Conversation {
        /// The field of the request with the text at fault, such as `messages[2].content`.
        field: String,
        /// Why.
        #[source]
        source: TokenizerError,
    },
    /// The conversation could not be rendered.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The prompt is a conversation that no preparer has made tokens of: a mistake of the caller's.
    #[error("a conversation must be prepared before it is submitted")]
    UnpreparedChat,
    /// Tokens could not be turned into text.
    #[error("`tokens` cannot be turned into text")]
    Detokenize(#[source] TokenizerError),
    /// Prompt and output together would not fit.
    #[error(transparent)]
    ContextExceeded(#[from] ContextExceeded),
    /// More tokens are demanded than allowed.
    #[error("`min_tokens` is {min_tokens}; it must be at most `max_tokens`, {max_tokens}")]
    MinTokens {
        /// The request's `min_tokens`.
        min_tokens: u32,
        /// The request's `max_tokens`.
        max_tokens: u32,
    },
    /// An id that the model has logits for, but the tokenizer no token.
    #[error("`{parameter}` names token {token}; the tokenizer has no token with this id")]
    NoToken {
        /// Where it was named: `prompt`, `logit_bias` or `resume`.
        parameter: &'static str,
        /// The id.
        token: u32,
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
    /// What a caller must tell apart in order to act.
    pub fn code(&self) -> RequestErrorCode {
        match self {
            Self::ContextExceeded(_) => RequestErrorCode::ContextLengthExceeded,
            Self::QueueFull { .. } => RequestErrorCode::QueueFull,
            Self::Chat(error) if !error.is_request_fault() => RequestErrorCode::TemplateFailed,
            Self::ResumeFinished { .. }
            | Self::UnknownToken { parameter: "resume", .. }
            | Self::NoToken { parameter: "resume", .. } => RequestErrorCode::InvalidResume,
            _ => RequestErrorCode::Invalid,
        }
    }

    /// The parameter that is at fault; none where the request itself is in order.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::EmptyPrompt | Self::Tokenizer(_) => Some("prompt"),
            Self::Chat(error) => error.request_field(),
            Self::NoChatTemplate | Self::UnpreparedChat => Some("messages"),
            Self::Conversation { field, .. } => Some(field),
            Self::Detokenize(_) => Some("tokens"),
            Self::ContextExceeded(exceeded) => Some(exceeded.parameter()),
            Self::MinTokens { .. } => Some("min_tokens"),
            Self::UnknownToken { parameter, .. }
            | Self::NoToken { parameter, .. }
            | Self::OutOfRange { parameter, .. } => Some(parameter),
            Self::ZeroTopK => Some("top_k"),
            Self::TooManyBiases { .. } | Self::BiasTwice { .. } => Some("logit_bias"),
            Self::TooManyStops { .. } | Self::EmptyStop { .. } | Self::StopTooLong { .. } => Some("stop"),
            Self::TooManyLogprobs { .. } => Some("logprobs"),
            Self::ResumeFinished { .. } => Some("resume"),
            Self::QueueFull { .. } => None,
        }
    }
}
