//! Which texts are control tokens, and where they are in a rendered chat.

use std::collections::HashMap;

use super::{AddedToken, ChatPiece};

/// The control tokens of a model's chat.
#[derive(Debug)]
pub(super) struct ControlTokens {
    texts: Vec<String>,
    /// Their numbers by first character, longest first.
    by_first: HashMap<char, Vec<usize>>,
}

impl ControlTokens {
    /// The special tokens, and the added tokens that the template or a special token's name writes.
    ///
    /// Runs of whitespace are ordinary vocabulary (Gemma adds tokens for them), though every
    /// template writes some, unless the tokenizer itself calls them special.
    pub(super) fn choose(source: &str, special_tokens: &[&str], added_tokens: &[AddedToken]) -> Self {
        let blank = |text: &str| text.chars().all(|c| c.is_whitespace() || c == '\u{2581}');
        let written = |text: &str| !blank(text) && (source.contains(text) || special_tokens.contains(&text));
        let is_control = |token: &&AddedToken| !token.text.is_empty() && (token.special || written(&token.text));
        let mut texts: Vec<String> = added_tokens.iter().filter(is_control).map(|token| token.text.clone()).collect();
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        let mut by_first: HashMap<char, Vec<usize>> = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            if let Some(first) = text.chars().next() {
                by_first.entry(first).or_default().push(number);
            }
        }
        Self { texts, by_first }
    }

    /// Their texts, longest first.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Cuts a text at the control tokens in it, the leftmost first, and of those that begin at one
    /// place the longest, as tokenizers do. `plain` gives the text between them its marks back.
    pub(super) fn cut(&self, text: &str, plain: impl Fn(&str) -> String) -> Vec<ChatPiece> {
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let Some(token) = self.at_beginning(&text[at..], c) else {
                at += c.len_utf8();
                continue;
            };
            if from < at {
                pieces.push(ChatPiece::Text(plain(&text[from..at])));
            }
            pieces.push(ChatPiece::Control(token.to_owned()));
            at += token.len();
            from = at;
        }
        if from < text.len() {
            pieces.push(ChatPiece::Text(plain(&text[from..])));
        }
        pieces
    }

    fn at_beginning(&self, text: &str, first: char) -> Option<&str> {
        let candidates = self.by_first.get(&first)?.iter().map(|&number| self.texts[number].as_str());
        candidates.into_iter().find(|token| text.starts_with(token))
    }
}
