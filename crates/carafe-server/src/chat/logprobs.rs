//! Log-probabilities in the form of OpenAI's chat API: an entry for each token.

use serde::Serialize;
use utoipa::ToSchema;

use crate::openai::token_text;
use crate::service::Token;

/// The log-probabilities of a message's tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChatLogprobs {
    /// Every token that the model has generated: those of its reasoning, and those without text,
    /// are there as well.
    content: Vec<ChatToken>,
    /// Always null.
    refusal: Option<Vec<ChatToken>>,
}

/// A token, and what the model thought of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct ChatToken {
    #[serde(flatten)]
    token: ScoredToken,
    /// The most probable tokens, best first, as many as were asked for.
    top_logprobs: Vec<ScoredToken>,
}

/// A token with its log-probability.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct ScoredToken {
    /// Its text; one that is not whole UTF-8 is spelled `bytes:\xf0\x9f`.
    token: String,
    /// Natural logarithm of the model's own probability, at least -9999.
    logprob: f32,
    bytes: Vec<u8>,
}

impl ChatLogprobs {
    /// Those of a message's tokens.
    pub(super) fn of(tokens: &[Token]) -> Self {
        Self { content: tokens.iter().filter_map(ChatToken::of).collect(), refusal: None }
    }
}

impl ChatToken {
    /// None for a token that has no log-probability.
    fn of(token: &Token) -> Option<Self> {
        let logprobs = token.logprobs.as_ref()?;
        let top = logprobs.top.iter().map(|token| ScoredToken::of(&token.bytes, token.logprob));
        Some(Self { token: ScoredToken::of(&token.bytes, logprobs.chosen), top_logprobs: top.collect() })
    }
}

impl ScoredToken {
    fn of(bytes: &[u8], logprob: f32) -> Self {
        Self { token: token_text(bytes), logprob, bytes: bytes.to_vec() }
    }
}
