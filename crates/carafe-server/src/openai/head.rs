//! The parts of an answer that completions and chat have in common.

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use crate::card::{ModelCard, seconds};
use crate::random;
use crate::service;

/// What all chunks of an answer have in common.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Head {
    id: String,
    /// What this is: `text_completion`, `chat.completion` or `chat.completion.chunk`.
    object: &'static str,
    /// When the request was taken, in seconds since 1970.
    created: u64,
    model: String,
    /// Changes when the model, its profile or OpenVINO does.
    system_fingerprint: String,
}

impl Head {
    /// The head of an answer by this model that begins now; its id begins with `prefix`.
    pub(crate) fn new(prefix: &str, object: &'static str, card: &ModelCard) -> Self {
        Self {
            id: random::id(prefix),
            object,
            created: seconds(SystemTime::now()),
            model: card.id.clone(),
            system_fingerprint: card.fingerprint(),
        }
    }
}

#[cfg(test)]
impl Head {
    /// The head of an answer by nobody.
    pub(crate) fn for_tests() -> Self {
        let (model, system_fingerprint) = ("tiny".to_owned(), "fp".to_owned());
        Self { id: "chatcmpl-1".to_owned(), object: "chat.completion.chunk", created: 0, model, system_fingerprint }
    }
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Each prompt counted once.
    prompt_tokens: u64,
    /// Of all sequences, those of `best_of` that are not answered included.
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptTokensDetails,
}

/// More about the tokens of the prompts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct PromptTokensDetails {
    /// Those that did not have to be computed, since the KV cache held them from earlier requests;
    /// each prompt counted once.
    cached_tokens: u64,
}

impl From<service::Usage> for Usage {
    fn from(usage: service::Usage) -> Self {
        let service::Usage { prompt_tokens, cached_tokens, completion_tokens } = usage;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
        }
    }
}
