//! The text of a sequence: bytes of tokens in, text to deliver out, and where in it each token
//! begins.
//!
//! The tokenizer's stream makes characters of tokens, then stop strings are cut off (`stop`). A
//! prompt that is echoed is part of the text and goes through the same decoder, so that a character
//! that begins in the prompt and ends in the output is one character. Stop strings are looked for
//! in what comes after the prompt, such a character included. Last, the model's
//! reasoning is told from its answer (`reasoning`).
//!
//! It does not know which tokens have no text: the caller passes none for those.

use super::{
    event::FinishReason,
    reasoning::{Delta, Reasoning, ReasoningSplitter},
    stop::{Matched, StopMatcher},
};
use crate::tokenizer::{StreamedText, TextStream, Tokenizer};

/// The text of one sequence.
#[derive(Debug, Default)]
pub(super) struct OutputText {
    stream: TextStream,
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
    /// A text that goes on after `stream` and ends with any of these strings, none of which may be
    /// empty.
    pub(super) fn new(stream: TextStream, stops: Vec<String>, reasoning: Reasoning) -> Self {
        Self { stream, stops: StopMatcher::new(stops), reasoning: ReasoningSplitter::new(reasoning) }
    }

    /// Whether a token with these bytes is a tag of reasoning, and so has text even if it is
    /// special.
    pub(super) fn is_mark(&self, bytes: &[u8]) -> bool {
        self.reasoning.is_mark(bytes)
    }

    /// Begins the text with the tokens of an echoed prompt.
    pub(super) fn echo(&mut self, tokens: impl Iterator<Item = Option<u32>>, tokenizer: &Tokenizer) -> Echo {
        let mut echo = Echo { text: String::new(), offsets: Vec::new() };
        for StreamedText { text, offset } in tokens.map(|token| self.decode(token, tokenizer)) {
            echo.text.push_str(&text);
            echo.offsets.push(offset);
        }
        echo
    }

    /// Takes the next token of the output; none for one that has no text.
    pub(super) fn push(&mut self, token: Option<u32>, tokenizer: &Tokenizer) -> TokenText {
        let StreamedText { text, offset } = self.decode(token, tokenizer);
        let Matched { text, stopped } = self.stops.push(&text);
        let delta = if stopped { self.last(text) } else { self.reasoning.push(text) };
        TokenText { delta, offset, stopped }
    }

    /// Lets go of what was held back. Even then a stop string may be completed, by the replacement
    /// of an unfinished character.
    pub(super) fn finish(&mut self, reason: FinishReason, tokenizer: &Tokenizer) -> (FinishReason, Delta) {
        let unfinished = self.stream.finish(tokenizer);
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

    fn decode(&mut self, token: Option<u32>, tokenizer: &Tokenizer) -> StreamedText {
        match token {
            Some(token) => self.stream.push(token, tokenizer),
            None => self.stream.skip(),
        }
    }
}
