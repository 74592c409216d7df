//! What is reported of a generation besides its text.

use serde::Serialize;
use utoipa::ToSchema;

/// Numbers of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Each prompt counted once.
    pub(crate) prompt_tokens: u64,
    /// Those of them that did not have to be computed, since the KV cache held them from earlier
    /// requests.
    pub(crate) cached_tokens: u64,
    /// Of all sequences, those that are not answered included.
    pub(crate) completion_tokens: u64,
}

/// How the request went, beyond what other APIs tell.
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
    /// Whether the request's time was up, so that its choices end where they were, with `length`.
    pub(crate) out_of_time: bool,
    /// Steps of the guest, of all sequences together.
    pub(crate) steps: u64,
    /// The guest's part of the time of those steps.
    pub(crate) sandbox_ms: f64,
    /// OpenVINO's part of it.
    pub(crate) model_ms: f64,
    /// The most memory that the guest has had.
    pub(crate) guest_memory_bytes: u64,
}
