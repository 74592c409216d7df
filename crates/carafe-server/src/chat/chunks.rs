//! The chunks of a streamed answer, as OpenAI's API has them: of each choice first the role, then
//! what it says, then why it ends.
//!
//! Every chunk has one choice, as in completions; only the one that brings `usage` has none.

use std::collections::BTreeSet;

use super::logprobs::ChatLogprobs;
use super::response::{ChatChunk, ChunkChoice, Delta, ROLE, some_text};
use crate::openai::Head;
use crate::openai::stream::Chunks;
use crate::service::{Piece, RunReport, Usage, finish_name};

/// Makes chunks of pieces.
pub(super) struct ChatChunks {
    head: Head,
    include_usage: bool,
    logprobs: bool,
    /// Choices whose role was sent.
    begun: BTreeSet<usize>,
}

impl ChatChunks {
    pub(super) fn new(head: Head, include_usage: bool, logprobs: bool) -> Self {
        Self { head, include_usage, logprobs, begun: BTreeSet::new() }
    }

    fn chunk(&self, choice: ChunkChoice) -> ChatChunk {
        let usage = self.include_usage.then_some(None);
        ChatChunk { head: self.head.clone(), choices: vec![choice], usage, carafe: None }
    }

    /// The role, if it has not been sent.
    fn role(&mut self, index: usize) -> Option<ChunkChoice> {
        let delta = Delta { role: Some(ROLE), content: Some(String::new()), ..Delta::default() };
        self.begun.insert(index).then(|| ChunkChoice { index, delta, ..ChunkChoice::default() })
    }

    /// What a piece says, if it says anything.
    fn words(&self, index: usize, piece: Piece) -> Option<ChunkChoice> {
        let is_silent = piece.is_silent();
        let Piece { text, reasoning, tokens, .. } = piece;
        let delta = Delta { role: None, content: some_text(text), reasoning_content: some_text(reasoning) };
        let logprobs = (self.logprobs && !tokens.is_empty()).then(|| ChatLogprobs::of(&tokens));
        (!is_silent).then_some(ChunkChoice { index, delta, logprobs, finish_reason: None })
    }
}

impl Chunks for ChatChunks {
    type Chunk = ChatChunk;

    fn of_piece(&mut self, index: usize, piece: Piece, report: Option<RunReport>) -> Vec<ChatChunk> {
        let finish = piece.finish.map(|reason| ChunkChoice {
            index,
            finish_reason: Some(finish_name(reason)),
            ..ChunkChoice::default()
        });
        let choices = [self.role(index), self.words(index, piece), finish];
        let mut chunks: Vec<ChatChunk> = choices.into_iter().flatten().map(|choice| self.chunk(choice)).collect();
        if let Some(last) = chunks.last_mut() {
            last.carafe = report;
        }
        chunks
    }

    fn of_usage(&mut self, usage: Usage) -> Option<ChatChunk> {
        let chunk = ChatChunk { choices: Vec::new(), ..self.chunk(ChunkChoice::default()) };
        self.include_usage.then(|| ChatChunk { usage: Some(Some(usage.into())), ..chunk })
    }
}
