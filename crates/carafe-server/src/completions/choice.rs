//! From the events of one sequence to pieces of a choice, and from pieces to a whole one.

use carafe_host::text::{EventKind, FinishReason};

use super::logprobs::{Logprobs, Offset};
use super::response::CompletionChoice;

/// Turns a sequence's events into pieces of its choice.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Whether pieces have log-probabilities.
    logprobs: bool,
    offset: Offset,
}

/// What one event adds to a choice.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    text: String,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
}

impl Pieces {
    pub(crate) fn new(logprobs: bool) -> Self {
        Self { logprobs, offset: Offset::default() }
    }

    /// What an event adds; nothing if a client need not be told.
    pub(crate) fn take(&mut self, event: EventKind) -> Option<Piece> {
        let piece = match event {
            EventKind::Prompt(prompt) => {
                let tokens = prompt.tokens.iter().map(|token| (&token.bytes[..], token.logprobs.as_ref()));
                Piece {
                    logprobs: self.logprobs.then(|| self.offset.entries(tokens)),
                    text: prompt.text,
                    ..Piece::default()
                }
            }
            EventKind::Token(token) => {
                let tokens = [(&token.bytes[..], token.logprobs.as_ref())].into_iter();
                Piece {
                    logprobs: self.logprobs.then(|| self.offset.entries(tokens)),
                    text: token.text,
                    ..Piece::default()
                }
            }
            EventKind::Finished(finished) => {
                Piece { text: finished.text, logprobs: None, finish_reason: Some(finish_reason(finished.reason)) }
            }
            EventKind::Started(_) | EventKind::Failed(_) => return None,
        };
        let is_empty = piece.text.is_empty() && piece.logprobs.is_none() && piece.finish_reason.is_none();
        (!is_empty).then_some(piece)
    }
}

impl Piece {
    /// The piece as a chunk's choice.
    pub(crate) fn into_choice(self, index: usize) -> CompletionChoice {
        CompletionChoice { index, text: self.text, logprobs: self.logprobs, finish_reason: self.finish_reason }
    }
}

/// A choice that is gathered piece by piece.
#[derive(Debug)]
pub(crate) struct Draft {
    pieces: Pieces,
    whole: Piece,
    /// Sum of the log-probabilities of the generated tokens, and their number.
    score: (f64, u32),
}

impl Draft {
    pub(crate) fn new(logprobs: bool) -> Self {
        let whole = Piece { logprobs: logprobs.then(Logprobs::default), ..Piece::default() };
        Self { pieces: Pieces::new(logprobs), whole, score: (0.0, 0) }
    }

    pub(crate) fn take(&mut self, event: EventKind) {
        if let EventKind::Token(token) = &event
            && let Some(logprobs) = &token.logprobs
        {
            self.score.0 += f64::from(logprobs.chosen);
            self.score.1 += 1;
        }
        let Some(piece) = self.pieces.take(event) else { return };
        self.whole.text.push_str(&piece.text);
        if let (Some(whole), Some(more)) = (&mut self.whole.logprobs, piece.logprobs) {
            whole.extend(more);
        }
        self.whole.finish_reason = piece.finish_reason.or(self.whole.finish_reason);
    }

    /// The mean log-probability of its tokens, by which OpenAI's API ranks the sequences of `best_of`.
    pub(crate) fn mean_logprob(&self) -> f64 {
        self.score.0 / f64::from(self.score.1.max(1))
    }

    pub(crate) fn into_choice(self, index: usize) -> CompletionChoice {
        self.whole.into_choice(index)
    }
}

/// Why a sequence ended, as OpenAI's API spells it.
pub(crate) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::EndOfText | FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}
