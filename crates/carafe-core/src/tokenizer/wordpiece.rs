//! WordPiece: the longest token that a word begins with, then the longest that goes on, to the end
//! (as in BERT). A word that cannot be taken apart so is one unknown token.

use serde::{Deserialize, Serialize};

use super::{TokenizerError, vocabulary::Vocabulary};

/// What `tokenizer.json` says of a WordPiece model beside its vocabulary, in its own words.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct WordPieceOptions {
    pub(super) unk_token: String,
    pub(super) continuing_subword_prefix: String,
    /// A longer word is one unknown token.
    pub(super) max_input_chars_per_word: usize,
}

/// A WordPiece model without its vocabulary.
pub(super) struct WordPiece {
    options: WordPieceOptions,
}

impl WordPiece {
    pub(super) fn new(options: WordPieceOptions) -> Self {
        Self { options }
    }

    pub(super) fn unknown(&self, vocabulary: &Vocabulary) -> Option<u32> {
        vocabulary.id(self.options.unk_token.as_bytes())
    }

    /// Appends the tokens of a word.
    pub(super) fn tokenize(
        &self,
        word: &str,
        vocabulary: &Vocabulary,
        forbidden: &[u32],
        tokens: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        let before = tokens.len();
        let is_short = word.chars().count() <= self.options.max_input_chars_per_word;
        if is_short && self.take_apart(word, vocabulary, forbidden, tokens) {
            return Ok(());
        }
        tokens.truncate(before);
        let no_token = || TokenizerError::NoToken { text: word.to_owned() };
        tokens.push(vocabulary.id(self.options.unk_token.as_bytes()).ok_or_else(no_token)?);
        Ok(())
    }

    /// Appends the tokens of a word, as far as there are any; false if that is not to its end.
    fn take_apart(&self, word: &str, vocabulary: &Vocabulary, forbidden: &[u32], tokens: &mut Vec<u32>) -> bool {
        let mut start = 0;
        while start < word.len() {
            let prefix = if start == 0 { "" } else { self.options.continuing_subword_prefix.as_str() };
            let mut text = format!("{prefix}{}", &word[start..]);
            let token = loop {
                match vocabulary.id(text.as_bytes()).filter(|id| forbidden.binary_search(id).is_err()) {
                    Some(id) => break id,
                    None => text.pop(),
                };
                if text.len() <= prefix.len() {
                    return false;
                }
            };
            tokens.push(token);
            start += text.len() - prefix.len();
        }
        true
    }
}
