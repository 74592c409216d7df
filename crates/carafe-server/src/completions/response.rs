//! The answer of `POST /v1/completions`, whole or in chunks: OpenAI's fields, and `carafe`.

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use super::logprobs::Logprobs;
use crate::card::{ModelCard, seconds};
use crate::random;

/// An answer, or one chunk of a streamed one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CompletionResponse {
    #[serde(flatten)]
    pub(crate) head: Head,
    /// One for each prompt and choice; in a chunk, the one that it brings something of, or none in
    /// the chunk that brings `usage`.
    pub(crate) choices: Vec<CompletionChoice>,
    /// Absent from a stream that was not asked for it; else null in its chunks but the last, which
    /// has no choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub(crate) usage: Option<Option<Usage>>,
    /// In a stream it comes with the last choice to finish, and is absent from all other chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) carafe: Option<RunReport>,
}

/// What all chunks of an answer have in common.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Head {
    id: String,
    /// Always `text_completion`.
    object: &'static str,
    /// When the request was taken, in seconds since 1970.
    created: u64,
    pub(crate) model: String,
    /// Changes when the model, its profile or OpenVINO does.
    system_fingerprint: String,
}

/// One continuation of a prompt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CompletionChoice {
    /// Choice `j` of prompt `i` has `i * n + j`.
    pub(crate) index: usize,
    pub(crate) text: String,
    /// Null if they were not asked for.
    pub(crate) logprobs: Option<Logprobs>,
    /// `stop` (the model ended the text, or a stop text was found), `length`, or null in a chunk
    /// before the last.
    pub(crate) finish_reason: Option<&'static str>,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Each prompt counted once.
    pub(crate) prompt_tokens: u64,
    /// Of all sequences, those of `best_of` that are not answered included.
    pub(crate) completion_tokens: u64,
    pub(crate) total_tokens: u64,
    pub(crate) prompt_tokens_details: PromptTokensDetails,
}

/// More about the tokens of the prompts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct PromptTokensDetails {
    /// Those that did not have to be computed, since the KV cache held them from earlier requests;
    /// each prompt counted once.
    pub(crate) cached_tokens: u64,
}

/// How the request went, beyond what OpenAI's API tells.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RunReport {
    /// The seed of each choice, by its index: its prompt alone with this seed gives the same choice
    /// again.
    pub(crate) seeds: Vec<u64>,
    /// `fast`, `latency` or `exact`.
    pub(crate) profile: String,
    /// Tokens that a request to this model may have.
    pub(crate) context_length: Option<u32>,
    /// Until the first sequence started, in milliseconds.
    pub(crate) queue_ms: f64,
    /// From the request's arrival to its first token; null if it has none.
    pub(crate) first_token_ms: Option<f64>,
    /// From the request's arrival to now.
    pub(crate) total_ms: f64,
    /// Steps of the guest, of all sequences together.
    pub(crate) steps: u64,
    /// The guest's part of the time of those steps.
    pub(crate) sandbox_ms: f64,
    /// OpenVINO's part of it.
    pub(crate) model_ms: f64,
    /// The most memory that the guest has had.
    pub(crate) guest_memory_bytes: u64,
}

impl Head {
    /// The head of an answer by this model that begins now.
    pub(crate) fn new(card: &ModelCard) -> Self {
        Self {
            id: random::id("cmpl"),
            object: "text_completion",
            created: seconds(SystemTime::now()),
            model: card.id.clone(),
            system_fingerprint: card.fingerprint(),
        }
    }
}
