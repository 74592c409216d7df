//! Added tokens: those that are found in a text before a model sees it, special ones among them.
//!
//! A special token (`<|im_end|>`) controls, and must not come about because a user typed its
//! text. So the caller says which tokens may be found; the text of any other is passed over
//! and stays text.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, utils::SysRegex};

use super::{TokenizerError, prefix_tree::PrefixTree};

/// A token that is found in a text as it is, in the words of `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it is only found where no letter or digit is next to it.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it takes in the white space before it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether it takes in the white space after it.
    #[serde(default)]
    pub rstrip: bool,
    /// Whether it is looked for in the normalised text, in its normalised form.
    #[serde(default)]
    pub normalized: bool,
    /// Whether it controls, rather than stands for its text.
    #[serde(default)]
    pub special: bool,
}

/// A part of a text: an added token's, or one without any.
pub(super) type Part = (Range<usize>, Option<u32>);

/// The added tokens of a tokenizer.
pub(super) struct AddedTokens {
    /// Ascending by id.
    tokens: Vec<AddedToken>,
    /// Those that are looked for in the text as it is; values are indices of `tokens`.
    verbatim: PrefixTree,
    /// Those that are looked for in the normalised text.
    normalized: PrefixTree,
    /// Matches a character that belongs to a word.
    word: SysRegex,
}

impl AddedTokens {
    /// These tokens, none with an id that another has.
    pub(super) fn new(
        mut tokens: Vec<AddedToken>,
        normalizer: Option<&NormalizerWrapper>,
    ) -> Result<Self, TokenizerError> {
        let normalise = |token: &AddedToken| {
            let mut content = NormalizedString::from(token.content.as_str());
            normalizer.map_or(Ok(()), |normalizer| normalizer.normalize(&mut content))?;
            Ok(content.get().to_owned())
        };
        tokens.sort_by_key(|token| token.id);
        let normal = tokens.iter().map(|token| if token.normalized { normalise(token) } else { Ok(String::new()) });
        let normal = normal.collect::<tokenizers::Result<Vec<_>>>();
        let normal = normal.map_err(|source| TokenizerError::Part { part: "normalizer", source })?;
        let verbatim = tokens.iter().map(|token| if token.normalized { "" } else { token.content.as_str() });
        Ok(Self {
            verbatim: PrefixTree::new(verbatim.map(str::as_bytes).zip(0..)),
            normalized: PrefixTree::new(normal.iter().map(String::as_bytes).zip(0..)),
            word: SysRegex::new(r"\w").map_err(TokenizerError::Encode)?,
            tokens,
        })
    }

    /// All of them, ascending by id.
    pub(super) fn all(&self) -> &[AddedToken] {
        &self.tokens
    }

    /// The one with this id.
    pub(super) fn get(&self, id: u32) -> Option<&AddedToken> {
        let index = self.tokens.binary_search_by_key(&id, |token| token.id).ok()?;
        Some(&self.tokens[index])
    }

    /// Parts a range of a text at the tokens that are looked for in it as it is, those that
    /// `may_be` lets be.
    pub(super) fn find_verbatim(
        &self,
        text: &str,
        range: Range<usize>,
        may_be: impl Fn(&AddedToken) -> bool,
    ) -> Vec<Part> {
        self.find(&self.verbatim, text, range, may_be)
    }

    /// The same of a normalised text, and the other tokens.
    pub(super) fn find_normalized(&self, text: &str, may_be: impl Fn(&AddedToken) -> bool) -> Vec<Part> {
        self.find(&self.normalized, text, 0..text.len(), may_be)
    }

    /// Goes from the left, and takes the longest token at each place. One that may not be is passed
    /// over as a whole, as in the library.
    fn find(
        &self,
        tree: &PrefixTree,
        text: &str,
        range: Range<usize>,
        may_be: impl Fn(&AddedToken) -> bool,
    ) -> Vec<Part> {
        let bytes = &text.as_bytes()[..range.end];
        let (mut parts, mut place, mut start) = (Vec::new(), range.start, range.start);
        while place < range.end {
            let Some((length, index)) = tree.prefixes(&bytes[place..]).last() else {
                place += 1;
                continue;
            };
            let (token, found) = (&self.tokens[index as usize], place..place + length);
            place = found.end;
            if may_be(token) && self.stands_alone(token, text, &found) {
                let found = widened(token, text, start..range.end, found);
                if start < found.start {
                    parts.push((start..found.start, None));
                }
                (start, place) = (found.end, place.max(found.end));
                parts.push((found, Some(token.id)));
            }
        }
        if start < range.end {
            parts.push((start..range.end, None));
        }
        parts
    }

    /// Whether a token that must be a word is one where it was found.
    fn stands_alone(&self, token: &AddedToken, text: &str, found: &Range<usize>) -> bool {
        let is_word = |character: Option<char>| {
            character.is_some_and(|character| self.word.find_iter(character.encode_utf8(&mut [0; 4])).next().is_some())
        };
        let (before, after) = (text[..found.start].chars().next_back(), text[found.end..].chars().next());
        !token.single_word || !(is_word(before) || is_word(after))
    }
}

/// What a token takes in where it was found: itself, and white space of the text around it that is
/// within `bounds`.
pub(super) fn widened(token: &AddedToken, text: &str, bounds: Range<usize>, found: Range<usize>) -> Range<usize> {
    let (before, after) = (&text[bounds.start..found.start], &text[found.end..bounds.end]);
    let left = if token.lstrip { before.len() - before.trim_end().len() } else { 0 };
    let right = if token.rstrip { after.len() - after.trim_start().len() } else { 0 };
    found.start - left..found.end + right
}

/// The added tokens that control a conversation, which its chat template alone writes. No text of a
/// client becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTokens {
    /// Their ids, ascending.
    ids: Vec<u32>,
}

impl ControlTokens {
    /// Those of some added tokens, ascending by id, that have one of these texts.
    pub(super) fn new(added: &[AddedToken], texts: &BTreeSet<&str>) -> Self {
        let controls = added.iter().filter(|token| texts.contains(token.content.as_str()));
        Self { ids: controls.map(|token| token.id).collect() }
    }

    /// Whether a token is one of them.
    pub fn contains(&self, id: u32) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// Their ids, ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
}
