//! Why a tokenizer was refused, or could not do what was asked.

use super::MAX_TEXT_BYTES;

/// An error of a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The bytes are no `tokenizer.json`.
    #[error("failed to read the tokenizer")]
    Unreadable(#[source] serde_json::Error),
    /// A part of the file would lead to other tokens, or asks for what is not supported.
    #[error("the tokenizer's `{part}` must be {expected}")]
    Unsupported {
        /// The key in `tokenizer.json`.
        part: &'static str,
        /// What it must be.
        expected: String,
    },
    /// A part of the file is none that the library knows.
    #[error("the tokenizer's `{part}` cannot be used")]
    Part {
        /// The key in `tokenizer.json`.
        part: &'static str,
        /// Why.
        #[source]
        source: tokenizers::Error,
    },
    /// Two tokens have the same id.
    #[error("the tokenizer gives id {id} to both `{first}` and `{second}`")]
    IdTwice {
        /// The id.
        id: u32,
        /// One token.
        first: String,
        /// The other one.
        second: String,
    },
    /// An id is far out of what any model has.
    #[error("the tokenizer gives `{token}` the id {id}; ids must be below {limit}")]
    IdTooLarge {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// What ids must be below.
        limit: u32,
    },
    /// A merge joins, or makes, a token that is not in the vocabulary.
    #[error("merge {number} of the tokenizer needs the token `{token}`, which its vocabulary lacks")]
    Merge {
        /// The number of the merge, from 0.
        number: usize,
        /// The token that is missing.
        token: String,
    },
    /// The compact form is not one that this version has made.
    #[error("the tokenizer's compact form is broken: {0}")]
    Compact(&'static str),
    /// A text is too long to be encoded.
    #[error("the text has {bytes} bytes; at most {MAX_TEXT_BYTES} are encoded at once")]
    TextTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A text could not be encoded.
    #[error("failed to encode the text")]
    Encode(#[source] tokenizers::Error),
    /// A part of a text has no token, and no unknown token stands for it.
    #[error("the tokenizer has no token for {}, and none for what is unknown; take it out", named(text))]
    NoToken {
        /// The part: a character, or a word.
        text: String,
    },
    /// An id has no token.
    #[error("token {id} is not in the tokenizer's vocabulary; its ids are below {size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// What ids are below; some below it may have no token.
        size: u32,
    },
}

/// A text in a message: a character that would not be seen by its number.
fn named(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if c.is_control() || c.is_whitespace() => format!("U+{:04X}", u32::from(c)),
        (Some(c), None) => format!("`{c}` (U+{:04X})", u32::from(c)),
        _ => format!("`{text}`"),
    }
}

impl TokenizerError {
    /// The error of a part that must be otherwise.
    pub(super) fn unsupported(part: &'static str, expected: impl Into<String>) -> Self {
        Self::Unsupported { part, expected: expected.into() }
    }
}
