//! Where a model's reasoning begins and ends, learnt from its template and tokens.

use super::{AddedToken, ChatPiece};

/// The texts around a model's reasoning, such as `<think>` and `</think>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningTags {
    /// Before the reasoning.
    pub start: String,
    /// Behind it.
    pub end: String,
}

/// What tags around reasoning are called, whatever the model.
const NAMES: [&str; 3] = ["think", "thought", "reason"];
const BRACKETS: [(char, char); 2] = [('<', '>'), ('[', ']')];

impl ReasoningTags {
    /// The first pair of tags with such a name that the template writes or compares with, or else
    /// that the tokenizer has. Both tags must be known, since the text between is taken apart by
    /// them.
    pub(super) fn find(source: &str, added_tokens: &[AddedToken]) -> Option<Self> {
        let is_added = |text: &str| added_tokens.iter().any(|token| token.text == text);
        let known = |tags: &Self| {
            let knows = |tag: &str| source.contains(tag) || is_added(tag);
            knows(&tags.start) && knows(&tags.end)
        };
        let of_source = closing_tags(source);
        let of_tokens =
            added_tokens.iter().flat_map(|token| closing_tags(&token.text).filter(|tags| tags.end == token.text));
        of_source.chain(of_tokens).find(known)
    }

    /// Whether a rendered chat ends inside of a reasoning that it began, so that the model goes on
    /// reasoning without a tag of its own.
    pub fn is_open_after(&self, pieces: &[ChatPiece]) -> bool {
        let mut open = false;
        for piece in pieces {
            match piece {
                ChatPiece::Control(text) if *text == self.start => open = true,
                ChatPiece::Control(text) if *text == self.end => open = false,
                // Another control token, of whatever turn, ends the reasoning too.
                ChatPiece::Control(_) => open = false,
                ChatPiece::Text(text) => match (text.rfind(&self.start), text.rfind(&self.end)) {
                    (Some(start), end) => open = end.is_none_or(|end| end < start),
                    (None, Some(_)) => open = false,
                    (None, None) => {}
                },
            }
        }
        open
    }
}

/// Tags of reasoning by their closing forms: `</think>`, `[/THINK]`.
fn closing_tags(text: &str) -> impl Iterator<Item = ReasoningTags> + '_ {
    BRACKETS.into_iter().flat_map(move |(open, close)| {
        text.match_indices(open).filter_map(move |(at, _)| {
            let inside = text[at..].strip_prefix(open)?.strip_prefix('/')?;
            let name = &inside[..inside.find(close)?];
            let lower = name.to_lowercase();
            let plain = name.chars().all(|c| c.is_alphanumeric() || "_:-".contains(c));
            (plain && NAMES.iter().any(|known| lower.contains(known)))
                .then(|| ReasoningTags { start: format!("{open}{name}{close}"), end: format!("{open}/{name}{close}") })
        })
    })
}
