//! The text of a sequence: bytes of tokens in, text to deliver out, and where in it each token
//! begins.
//!
//! Characters are put together from the bytes of several tokens (`utf8`), then stop strings are cut
//! off (`stop`). A prompt that is echoed is part of the text and goes through the same decoder, so
//! that a character that begins in the prompt and ends in the output is one character. Stop strings
//! are looked for in what comes after the prompt, such a character included.
//!
//! It does not know which tokens have no text: the caller passes no bytes for those.

use super::{
    event::FinishReason,
    stop::{Matched, StopMatcher},
    utf8::{Decoded, Utf8Stream},
};

/// The text of one sequence.
#[derive(Debug, Default)]
pub(super) struct OutputText {
    utf8: Utf8Stream,
    stops: StopMatcher,
}

/// What a token adds to the text.
#[derive(Debug, PartialEq)]
pub(super) struct TokenText {
    /// Text that can be delivered now.
    pub(super) text: String,
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
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self { utf8: Utf8Stream::default(), stops: StopMatcher::new(stops) }
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
        TokenText { text, offset, stopped }
    }

    /// Lets go of what was held back. Even then a stop string may be completed, by the replacement
    /// of an unfinished character.
    pub(super) fn finish(&mut self, reason: FinishReason) -> (FinishReason, String) {
        let unfinished = self.utf8.finish();
        let Matched { text, stopped } = self.stops.push(&unfinished);
        if stopped { (FinishReason::Stop, text) } else { (reason, text + &self.stops.finish()) }
    }
}
