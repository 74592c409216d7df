//! What a generator tells about its requests.

use super::logprobs::TokenLogprobs;

/// Something happened to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The request's id, as `submit` gave it.
    pub request: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to a request: it is `Started`, gets its `Prompt` if it echoes it, then `Token`s,
/// and ends with either `Finished` or `Failed`. A request that is cancelled has no further event.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// It has left the queue, and its prompt is about to be processed. A resumed request is started
    /// anew.
    Started {
        /// Tokens of its prompt.
        prompt_tokens: u32,
        /// Those of them that the KV cache held already, from other requests.
        cached_tokens: u32,
    },
    /// The model has computed the prompt of a request that echoes it.
    Prompt {
        /// The prompt's whole characters; bytes that are no UTF-8 become U+FFFD. A character that
        /// its last tokens only begin comes with the output.
        text: String,
        /// Its tokens.
        tokens: Vec<PromptToken>,
    },
    /// A token was chosen.
    Token {
        /// The token.
        id: u32,
        /// The text that can be delivered now: whole characters, nothing that may still become a
        /// stop string; often that of earlier tokens, and often empty. An EOS token has no text.
        text: String,
        /// The same of the model's reasoning, where that comes apart; it is before the text.
        reasoning: String,
        /// Where the token begins, as in [`PromptToken::text_offset`], in the output as it is
        /// before reasoning is separated. A stop string that is found later may cut the text off
        /// before.
        text_offset: u32,
        /// Its log-probabilities, if the request asked for them.
        logprobs: Option<TokenLogprobs>,
    },
    /// It is complete.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Text that had been held back.
        text: String,
        /// The same of the model's reasoning.
        reasoning: String,
        /// Tokens of its prompt.
        prompt_tokens: u32,
        /// Tokens that were chosen, those it resumed from and an EOS token included.
        generated_tokens: u32,
    },
    /// It could not be completed; other requests are not concerned.
    Failed {
        /// What failed.
        kind: FailureKind,
        /// Why, for people.
        message: String,
    },
}

/// A token of an echoed prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptToken {
    /// The token.
    pub id: u32,
    /// How many characters come before the one that holds the token's first byte, in the text of
    /// all events joined.
    pub text_offset: u32,
    /// What the model thought of it after those before; none for the first token, and where the
    /// request did not ask.
    pub logprobs: Option<TokenLogprobs>,
}

/// Why a request is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model chose an EOS token.
    Eos,
    /// A stop string was found.
    Stop,
    /// `max_tokens` tokens were chosen.
    Length,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A forward pass of the model.
    ForwardPass,
    /// The model gave logits from which no token can be chosen.
    Logits,
}
