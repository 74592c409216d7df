//! The text of tokens that arrive one by one.
//!
//! The pieces joined are the text that decoding all tokens at once gives. What depends on tokens to
//! come is held back: an unfinished character, and bytes that stand side by side where they are
//! characters only all together ([`TokenText::Byte`]).
//!
//! A stream that begins after a prompt gives what comes after the prompt's own text. A character
//! that begins in the prompt and ends in the output comes whole; if it never becomes one, its
//! replacement belongs to the prompt.

use super::{
    Tokenizer,
    decoder::TokenText,
    utf8::{Decoded, Utf8Stream},
};

/// A decoder of one text, token by token.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    utf8: Utf8Stream,
    run: ByteRun,
    /// Whether a token came.
    has_begun: bool,
    /// How many characters have been cut off at the start.
    stripped: usize,
    /// Whether text came, so that nothing more is cut off.
    has_text: bool,
    /// Characters delivered, of tokens that are text.
    characters: usize,
}

/// What a token adds to the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamedText {
    /// Text that is certain now.
    pub text: String,
    /// How many characters of the stream come before the one in which the token begins.
    pub offset: usize,
}

/// Bytes side by side, which are characters only all together.
#[derive(Debug, Clone, Default)]
struct ByteRun {
    utf8: Utf8Stream,
    /// Its whole characters so far.
    text: String,
    length: usize,
    /// How many of its characters, and of its bytes, belong to the prompt.
    prompt: (usize, usize),
}

impl TextStream {
    /// A stream that begins with the first token.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream that begins after these tokens.
    pub fn after(prompt: impl IntoIterator<Item = u32>, tokenizer: &Tokenizer) -> Self {
        let mut stream = Self::new();
        for token in prompt {
            stream.push(token, tokenizer);
        }
        stream.characters = 0;
        stream.utf8.restart();
        stream.run.prompt = (stream.run.text.chars().count(), stream.run.length);
        stream.has_text |= stream.run.length > 0;
        stream
    }

    /// Takes the next token; one without a text in the tokenizer adds nothing.
    pub fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> StreamedText {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match tokenizer.token_text(token, is_first) {
            Some(TokenText::Bytes(bytes)) => {
                let Decoded { text, offset } = self.utf8.push(&bytes);
                StreamedText { text, offset }
            }
            Some(TokenText::Byte(byte)) => {
                StreamedText { text: String::new(), offset: self.characters + self.run.push(byte) }
            }
            Some(TokenText::Text(text)) => self.push_text(&text, tokenizer),
            None => self.skip(),
        }
    }

    /// What a token adds that has no text.
    pub fn skip(&self) -> StreamedText {
        let offset = self.characters + self.utf8.characters() + self.run.characters();
        StreamedText { text: String::new(), offset }
    }

    /// Ends the text: what is unfinished is replaced.
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> String {
        let rest = self.utf8.finish();
        let run = self.run.take();
        rest + &self.deliver(run, tokenizer)
    }

    fn push_text(&mut self, text: &str, tokenizer: &Tokenizer) -> StreamedText {
        let run = self.run.take();
        let before = self.deliver(run, tokenizer);
        let offset = self.characters;
        let text = before + &self.deliver(text.to_owned(), tokenizer);
        StreamedText { text, offset }
    }

    /// Counts a text that is delivered; what is cut off at the start of the whole is taken off it.
    fn deliver(&mut self, text: String, tokenizer: &Tokenizer) -> String {
        let mut text = text.as_str();
        if let Some((character, most)) = tokenizer.decoder.strip().filter(|_| !self.has_text) {
            while self.stripped < most
                && let Some(rest) = text.strip_prefix(character)
            {
                (text, self.stripped) = (rest, self.stripped + 1);
            }
        }
        self.has_text |= !text.is_empty();
        self.characters += text.chars().count();
        text.to_owned()
    }
}

impl ByteRun {
    /// Takes the next byte: how many characters of the run come before it, as far as can be known.
    fn push(&mut self, byte: u8) -> usize {
        let Decoded { text, offset } = self.utf8.push(&[byte]);
        let bytes_before = self.length - self.prompt.1;
        self.text.push_str(&text);
        self.length += 1;
        if self.utf8.has_replaced() { bytes_before } else { offset.saturating_sub(self.prompt.0) }
    }

    /// How many characters it will be, as far as can be known.
    fn characters(&self) -> usize {
        if self.utf8.has_replaced() {
            self.length - self.prompt.1
        } else {
            self.utf8.characters().saturating_sub(self.prompt.0)
        }
    }

    /// Ends the run: its text without the prompt's part of it.
    fn take(&mut self) -> String {
        let Self { utf8, text, length, prompt: (characters, bytes) } = std::mem::take(self);
        if utf8.has_replaced() || utf8.is_unfinished() {
            char::REPLACEMENT_CHARACTER.to_string().repeat(length - bytes)
        } else {
            text.chars().skip(characters).collect()
        }
    }
}
