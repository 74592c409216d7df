//! What the generator must know of a text model: its sizes and its end-of-text tokens.

use super::tokenizer::Tokenizer;

/// The most new positions a row may have in one step, so that nothing native runs long.
pub const MAX_STEP: u32 = 128;

/// The sizes of a text model, as its manifest gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextModel {
    /// How many tokens a sequence may have, prompt and output together.
    pub context_length: u32,
    /// V: how many tokens the model knows; ids are below this.
    pub vocabulary_size: u32,
    /// The tokens that end a text.
    pub end_of_text: Vec<u32>,
    /// How many rows one step may have, at least 1.
    pub max_batch: u32,
    /// How many new positions a row may have in one step, 1 to [`MAX_STEP`].
    pub max_step: u32,
    /// How many positions of one step may have their logits wanted, at least 1.
    pub max_logits: u32,
    /// How many positions all contexts together may cache, rows times positions; at least the context's length and 1.
    pub max_positions: u32,
    /// How many tokens to guess ahead of each that is chosen; 0 turns speculation off. It changes speed and nothing else.
    pub draft_tokens: u32,
}

/// Why a model and its tokenizer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A size is out of its range.
    #[error("the model's `{name}` must be {range}, got {value}")]
    Size {
        /// The field of [`TextModel`].
        name: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        value: u32,
    },
    /// Not even one whole sequence could be cached.
    #[error("the model's `max_positions` is {limit}; a context of {context_length} tokens needs one more than these")]
    Positions {
        /// The model's `max_positions`.
        limit: u32,
        /// The model's `context_length`.
        context_length: u32,
    },
    /// The tokenizer is another model's: a token without text could be sampled, or a text have a token without logits.
    #[error("the model knows {model} tokens, its tokenizer {tokenizer}; the two must be equal")]
    Vocabulary {
        /// The model's `vocabulary_size`.
        model: u32,
        /// The tokenizer's vocabulary size.
        tokenizer: u32,
    },
    /// An end-of-text token is no token of the model.
    #[error("the model's end-of-text token {id} is outside its vocabulary of {vocabulary_size}")]
    EndOfText {
        /// The token.
        id: u32,
        /// The model's `vocabulary_size`.
        vocabulary_size: u32,
    },
}

impl TextModel {
    /// Checks the sizes, and that `tokenizer` has exactly the model's vocabulary.
    pub fn check(&self, tokenizer: &Tokenizer) -> Result<(), ModelError> {
        const AT_LEAST_1: &str = "at least 1";
        check_size("context_length", self.context_length, u32::MAX, AT_LEAST_1)?;
        check_size("vocabulary_size", self.vocabulary_size, i32::MAX.unsigned_abs(), "1 to 2147483647")?;
        check_size("max_batch", self.max_batch, u32::MAX, AT_LEAST_1)?;
        check_size("max_step", self.max_step, MAX_STEP, "1 to 128")?;
        check_size("max_logits", self.max_logits, u32::MAX, AT_LEAST_1)?;
        if self.max_positions <= self.context_length {
            return Err(ModelError::Positions { limit: self.max_positions, context_length: self.context_length });
        }
        if tokenizer.vocabulary_size() != self.vocabulary_size {
            return Err(ModelError::Vocabulary { model: self.vocabulary_size, tokenizer: tokenizer.vocabulary_size() });
        }
        match self.end_of_text.iter().find(|&&id| id >= self.vocabulary_size) {
            Some(&id) => Err(ModelError::EndOfText { id, vocabulary_size: self.vocabulary_size }),
            None => Ok(()),
        }
    }
}

/// Refuses a size that is zero or over its limit.
fn check_size(name: &'static str, value: u32, limit: u32, range: &'static str) -> Result<(), ModelError> {
    if (1..=limit).contains(&value) { Ok(()) } else { Err(ModelError::Size { name, range, value }) }
}
