//! The answer of `POST /v1/completions`, whole or in chunks: OpenAI's fields, and `carafe`.

use serde::Serialize;
use utoipa::ToSchema;

use super::logprobs::Logprobs;
use crate::openai::stream::Chunks;
use crate::openai::{Head, Usage};
use crate::service::{self, Generated, Piece, RunReport, finish_name};

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

impl CompletionResponse {
    /// A whole answer; `logprobs` is whether log-probabilities are asked for.
    pub(super) fn whole(head: Head, generated: Generated, logprobs: bool) -> Self {
        let Generated { choices, usage, report } = generated;
        let choice = |(index, piece)| CompletionChoice::whole(index, piece, logprobs);
        let choices = choices.into_iter().enumerate().map(choice).collect();
        Self { head, choices, usage: Some(Some(usage.into())), carafe: Some(report) }
    }
}

impl CompletionChoice {
    fn whole(index: usize, piece: Piece, logprobs: bool) -> Self {
        let Piece { text, tokens, finish, .. } = piece;
        let logprobs = logprobs.then(|| Logprobs::of(&tokens));
        Self { index, text, logprobs, finish_reason: finish.map(finish_name) }
    }

    /// A part of a choice, with log-probabilities if it has any.
    fn part(index: usize, piece: Piece) -> Self {
        let has_tokens = !piece.tokens.is_empty();
        Self::whole(index, piece, has_tokens)
    }
}

/// The chunks of a streamed answer.
///
/// Every chunk has one choice, since the plainest loop of a client reads `chunk.choices[0]`. Only
/// the chunk that brings `usage`, for those who ask for it, has none, as in OpenAI's API. What
/// Carafe tells of a run comes with the last choice to finish.
pub(super) struct CompletionChunks {
    pub(super) head: Head,
    pub(super) include_usage: bool,
}

impl CompletionChunks {
    /// A chunk that brings nothing yet.
    fn chunk(&self) -> CompletionResponse {
        let usage = self.include_usage.then_some(None);
        CompletionResponse { head: self.head.clone(), choices: Vec::new(), usage, carafe: None }
    }
}

impl Chunks for CompletionChunks {
    type Chunk = CompletionResponse;

    fn of_piece(&mut self, index: usize, piece: Piece, carafe: Option<RunReport>) -> Vec<CompletionResponse> {
        vec![CompletionResponse { choices: vec![CompletionChoice::part(index, piece)], carafe, ..self.chunk() }]
    }

    fn of_usage(&mut self, usage: service::Usage) -> Option<CompletionResponse> {
        self.include_usage.then(|| CompletionResponse { usage: Some(Some(usage.into())), ..self.chunk() })
    }
}
