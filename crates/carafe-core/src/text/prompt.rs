//! What a model is to go on from.

use crate::{chat::Chat, tokenizer::EncodeOptions};

/// A text, tokens, or a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A text, of which the tokenizer makes tokens.
    Text(TextPrompt),
    /// Tokens, special ones included.
    Tokens(Vec<u32>),
    /// A conversation, of which a [`Preparer`](super::Preparer) makes tokens.
    Chat(Chat),
}

impl Prompt {
    /// A text as a client types it: see [`TextPrompt::new`].
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPrompt::new(text))
    }
}

/// A text, and what the tokenizer is to make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPrompt {
    /// The text.
    pub text: String,
    /// What to add to it, and whether special tokens in it are text.
    pub options: EncodeOptions,
}

impl TextPrompt {
    /// A text to which the tokenizer adds what it adds, and in which special tokens are text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), options: EncodeOptions::default() }
    }
}
