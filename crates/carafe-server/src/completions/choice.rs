//! From the events of one sequence to pieces of a choice, and from pieces to a whole one.

use carafe_host::text::{EventKind, FinishReason};

use super::logprobs::Logprobs;
use super::response::CompletionChoice;

/// Turns a sequence's events into pieces of its choice.
///
/// A token's log-probabilities say where in the text it begins. Text that may yet be cut off by a
/// stop text is held back by the guest, and the log-probabilities of the tokens that begin in it
/// wait here, so that none is ever beyond the end of the text.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Log-probabilities of the tokens that wait; none where none are wanted.
    waiting: Option<Logprobs>,
    /// Characters of the pieces so far.
    characters: usize,
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
        Self { waiting: logprobs.then(Logprobs::default), characters: 0 }
    }

    /// What an event adds; nothing if a client need not be told.
    pub(crate) fn take(&mut self, event: EventKind) -> Option<Piece> {
        let piece = match event {
            EventKind::Prompt(prompt) => {
                self.wait(|waiting| prompt.tokens.iter().for_each(|token| waiting.push_prompt(token)));
                self.piece(prompt.text)
            }
            EventKind::Token(token) => {
                self.wait(|waiting| waiting.push_generated(&token));
                self.piece(token.text)
            }
            EventKind::Finished(finished) => self.last_piece(finished.text, finish_reason(finished.reason)),
            EventKind::Started(_) | EventKind::Failed(_) => return None,
        };
        let is_empty = piece.text.is_empty() && piece.logprobs.is_none() && piece.finish_reason.is_none();
        (!is_empty).then_some(piece)
    }

    /// Adds tokens to those that wait, if log-probabilities are wanted.
    fn wait(&mut self, push: impl FnOnce(&mut Logprobs)) {
        if let Some(waiting) = &mut self.waiting {
            push(waiting);
        }
    }

    /// More text, with the tokens that begin in what there is of it now.
    fn piece(&mut self, text: String) -> Piece {
        self.characters += text.chars().count();
        let logprobs = self.waiting.as_mut().and_then(|waiting| waiting.take_within(self.characters));
        Piece { text, logprobs, finish_reason: None }
    }

    /// The last of the text, with all tokens that are left.
    fn last_piece(&mut self, text: String, finish_reason: &'static str) -> Piece {
        self.characters += text.chars().count();
        let logprobs = self.waiting.as_mut().and_then(|waiting| waiting.take_rest(self.characters));
        Piece { text, logprobs, finish_reason: Some(finish_reason) }
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

    /// The mean log-probability of its tokens, by which OpenAI's API ranks the sequences of
    /// `best_of`.
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
        FinishReason::Eos | FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_host::text::{Finished, GeneratedToken, TokenLogprobs};
    use serde_json::{Value, json};

    /// A token's event: its text as far as it is delivered, and where it begins.
    fn token(text: &str, text_offset: u32) -> EventKind {
        let logprobs = Some(TokenLogprobs { chosen: -1.0, top: Vec::new() });
        let (bytes, text, reasoning) = (b"x".to_vec(), text.to_owned(), String::new());
        EventKind::Token(GeneratedToken { id: 1, bytes, text, reasoning, text_offset, logprobs })
    }

    fn end(reason: FinishReason, text: &str) -> EventKind {
        let (text, reasoning) = (text.to_owned(), String::new());
        EventKind::Finished(Finished { reason, text, reasoning, prompt_tokens: 1, generated_tokens: 1 })
    }

    /// Text and offsets of the chunks that these events make, and those of the whole answer.
    fn answers(events: &[EventKind]) -> (Vec<(String, Value)>, (String, Value)) {
        let summary = |choice: CompletionChoice| {
            let value = serde_json::to_value(choice).expect("JSON");
            (value["text"].as_str().unwrap_or_default().to_owned(), value["logprobs"]["text_offset"].clone())
        };
        let (mut pieces, mut draft) = (Pieces::new(true), Draft::new(true));
        let chunks = events.iter().filter_map(|event| pieces.take(event.clone()));
        let chunks = chunks.map(|piece| summary(piece.into_choice(0))).collect();
        events.iter().for_each(|event| draft.take(event.clone()));
        (chunks, summary(draft.into_choice(0)))
    }

    #[test]
    fn a_token_that_begins_in_text_that_is_held_back_waits_for_it() {
        let text = |text: &str, offsets| (text.to_owned(), offsets);
        // The stop text is `END`; the tokens are `the E`, `N` and `D` or `gg`.
        let begun = [token("the ", 0), token("", 5)];
        let stopped = [&begun[..], &[token("", 6), end(FinishReason::Stop, "")]].concat();
        let (chunks, whole) = answers(&stopped);
        assert_eq!(chunks, [text("the ", json!([0])), text("", json!([4, 4]))]);
        assert_eq!(whole, text("the ", json!([0, 4, 4])));

        let went_on = [&begun[..], &[token("ENgg", 6), end(FinishReason::Length, "")]].concat();
        let (chunks, whole) = answers(&went_on);
        assert_eq!(chunks, [text("the ", json!([0])), text("ENgg", json!([5, 6])), text("", Value::Null)]);
        assert_eq!(whole, text("the ENgg", json!([0, 5, 6])));
    }

    #[test]
    fn a_token_without_text_begins_at_the_end_of_the_text() {
        let (chunks, whole) = answers(&[token("", 0), end(FinishReason::Eos, "")]);
        assert_eq!(chunks, [(String::new(), json!([0])), (String::new(), Value::Null)]);
        assert_eq!(whole, (String::new(), json!([0])));
    }
}
