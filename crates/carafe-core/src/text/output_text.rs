//! The text of a sequence: bytes of tokens in, text to deliver out, and where in it each token
//! begins.
//!
//! Characters are put together from the bytes of several tokens (`utf8`), then stop strings are cut
//! off (`stop`). A prompt that is echoed is part of the text and goes through the same decoder, so
//! that a character that begins in the prompt and ends in the output is one character. Stop strings
//! are looked for in what comes after the prompt, such a character included. Last, what the model
//! marks as its reasoning is told from its answer (`reasoning`).
//!
//! It does not know which tokens have no text: the caller passes no bytes for those.

use super::{
    event::FinishReason,
    reasoning::{Delta, Reasoning, ReasoningSplitter},
    stop::{Matched, StopMatcher},
    utf8::{Decoded, Utf8Stream},
};

/// The text of one sequence.
#[derive(Debug, Default)]
pub(super) struct OutputText {
    utf8: Utf8Stream,
    stops: StopMatcher,
    reasoning: ReasoningSplitter,
}

/// What a token adds to the text.
#[derive(Debug, PartialEq)]
pub(super) struct TokenText {
    /// What can be delivered now.
    pub(super) delta: Delta,
    /// How many characters come before the one in which the token begins.
    pub(super) offset: usize,
    /// Whether a stop string is complete; then the text is at its end.
    pub(super) stopped: bool,
}

/// The text of an echoed prompt.
#[derive(Debug, PartialEq)]
pub(super) struct Echo {
    /// Its whole characters.
    pub(super) text: String,
    /// For each token, how many characters come before the one in which it begins.
    pub(super) offsets: Vec<usize>,
}

impl OutputText {
    /// An empty text that ends with any of these strings, none of which may be empty.
    pub(super) fn new(stops: Vec<String>, reasoning: Reasoning) -> Self {
        let reasoning = ReasoningSplitter::new(reasoning);
        Self { utf8: Utf8Stream::default(), stops: StopMatcher::new(stops), reasoning }
    }

    /// Whether a token with these bytes marks reasoning, and so has text even if it is special.
    pub(super) fn is_mark(&self, bytes: &[u8]) -> bool {
        self.reasoning.is_mark(bytes)
    }

    /// Begins the text with the tokens of an echoed prompt.
    pub(super) fn echo<'a>(&mut self, tokens: impl Iterator<Item = &'a [u8]>) -> Echo {
        let mut echo = Echo { text: String::new(), offsets: Vec::new() };
        for Decoded { text, offset } in tokens.map(|bytes| self.utf8.push(bytes)) {
            echo.text.push_str(&text);
            echo.offsets.push(offset);
        }
        echo
    }

    /// Takes the bytes of the next token of the output; none of one that has no text.
    pub(super) fn push(&mut self, bytes: &[u8]) -> TokenText {
        let Decoded { text, offset } = self.utf8.push(bytes);
        let Matched { text, stopped } = self.stops.push(&text);
        let delta = if stopped { self.last(text) } else { self.reasoning.push(text) };
        TokenText { delta, offset, stopped }
    }

    /// Lets go of what was held back. Even then a stop string may be completed, by the replacement
    /// of an unfinished character.
    pub(super) fn finish(&mut self, reason: FinishReason) -> (FinishReason, Delta) {
        let unfinished = self.utf8.finish();
        let Matched { text, stopped } = self.stops.push(&unfinished);
        if stopped {
            return (FinishReason::Stop, self.last(text));
        }
        let rest = text + &self.stops.finish();
        (reason, self.last(rest))
    }

    /// The last of the text, with what had been held back of it.
    fn last(&mut self, text: String) -> Delta {
        let mut delta = self.reasoning.push(text);
        let Delta { reasoning, text } = self.reasoning.finish();
        delta.reasoning.push_str(&reasoning);
        delta.text.push_str(&text);
        delta
    }
}
