//! The answer of `POST /v1/chat/completions`, and its chunks: OpenAI's fields, `reasoning_content`
//! as servers of open models have it, and `carafe`.

use serde::Serialize;
use utoipa::ToSchema;

use super::logprobs::ChatLogprobs;
use crate::openai::{Head, Usage};
use crate::service::{Generated, Piece, RunReport, finish_name};

/// An answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChatResponse {
    #[serde(flatten)]
    head: Head,
    /// As many as `n`.
    choices: Vec<ChatChoice>,
    usage: Usage,
    carafe: RunReport,
}

/// One answer of several.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ChatChoice {
    index: usize,
    message: ChatMessage,
    /// Null if they were not asked for.
    logprobs: Option<ChatLogprobs>,
    /// `stop` (the model ended the message, or a stop text was found) or `length`.
    finish_reason: Option<&'static str>,
}

/// What the assistant says.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ChatMessage {
    /// Always `assistant`.
    role: &'static str,
    content: String,
    /// What the model has thought before it answered; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reasoning_content: Option<String>,
    /// Always null: no model here marks a refusal.
    refusal: Option<String>,
}

impl ChatResponse {
    /// A whole answer; `logprobs` is whether log-probabilities are asked for.
    pub(super) fn whole(head: Head, generated: Generated, logprobs: bool) -> Self {
        let Generated { choices, usage, report } = generated;
        let choice = |(index, piece)| ChatChoice::of(index, piece, logprobs);
        let choices = choices.into_iter().enumerate().map(choice).collect();
        Self { head, choices, usage: usage.into(), carafe: report }
    }
}

impl ChatChoice {
    fn of(index: usize, piece: Piece, logprobs: bool) -> Self {
        let Piece { text, reasoning, tokens, finish } = piece;
        let reasoning_content = some_text(reasoning);
        let message = ChatMessage { role: ROLE, content: text, reasoning_content, refusal: None };
        let logprobs = logprobs.then(|| ChatLogprobs::of(&tokens));
        Self { index, message, logprobs, finish_reason: finish.map(finish_name) }
    }
}

/// Whose message an answer is.
pub(super) const ROLE: &str = "assistant";

/// A text that is not empty.
pub(super) fn some_text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A chunk of a streamed answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChatChunk {
    #[serde(flatten)]
    pub(super) head: Head,
    /// The one that the chunk brings something of, or none in the chunk that brings `usage`.
    pub(super) choices: Vec<ChunkChoice>,
    /// Absent from a stream that was not asked for it; else null in its chunks but the last, which
    /// has no choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub(super) usage: Option<Option<Usage>>,
    /// Comes with the last choice to finish, and is absent from all other chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) carafe: Option<RunReport>,
}

/// What a chunk brings of a choice.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    pub(super) index: usize,
    pub(super) delta: Delta,
    /// Null if they were not asked for, or the chunk brings no token.
    pub(super) logprobs: Option<ChatLogprobs>,
    /// `stop` or `length`; null in a chunk before the last.
    pub(super) finish_reason: Option<&'static str>,
}

/// What the message has more; what is absent has no more.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Delta {
    /// `assistant`, in the first chunk of a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) content: Option<String>,
    /// Comes before the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) reasoning_content: Option<String>,
}
