//! The tokens of a conversation: control tokens that its template writes, and text between them.

use std::ops::Range;

use super::{
    AddedToken, ControlTokens, Tokenizer, TokenizerError,
    added::{Part, widened},
    check_length,
};

/// A piece of a conversation that a chat template has rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A control token.
    Token(u32),
    /// Text, in which no control token is found.
    Text(&'a str),
}

impl Tokenizer {
    /// The control tokens with these texts.
    pub fn control_tokens<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> ControlTokens {
        ControlTokens::new(self.added_tokens(), &texts.into_iter().collect())
    }

    /// The tokens of rendered pieces, and nothing besides: what the library makes of the whole
    /// text, but that no text, and no texts side by side, become any of `controls`. Texts are
    /// encoded as parts of the whole, at most [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES) long.
    ///
    /// Control tokens cut the text even where they are looked for in the normalised text. Only
    /// where a normalizer puts something before a text does that make a difference: there the
    /// library, too, puts it before every text, but misses such tokens.
    ///
    /// # Errors
    /// As of [`Tokenizer::encode`], and [`TokenizerError::UnknownToken`].
    pub fn encode_pieces(&self, pieces: &[Piece<'_>], controls: &ControlTokens) -> Result<Vec<u32>, TokenizerError> {
        let (text, spans) = self.join(pieces)?;
        check_length(&text)?;
        let may_be = |token: &AddedToken| !controls.contains(token.id);
        let mut parts: Vec<Part> = Vec::new();
        for (range, id) in spans {
            match id {
                Some(_) => parts.push((range, id)),
                None => parts.extend(self.added.find_verbatim(&text, range, may_be)),
            }
        }
        let mut ids = Vec::new();
        self.encode_parts(&text, parts, may_be, &mut ids)?;
        Ok(ids)
    }

    /// The whole text, and where its control tokens and the texts between them are. A control token
    /// takes in the white space of texts next to it as it does where it is found in a text.
    fn join(&self, pieces: &[Piece<'_>]) -> Result<(String, Vec<Part>), TokenizerError> {
        let mut text = String::new();
        let mut tokens: Vec<(Range<usize>, u32)> = Vec::new();
        for piece in pieces {
            let start = text.len();
            match *piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Token(id) => {
                    let unknown = TokenizerError::UnknownToken { id, size: self.vocabulary_size() };
                    text.push_str(self.text(id).ok_or(unknown)?);
                    tokens.push((start..text.len(), id));
                }
            }
        }
        let (mut parts, mut start) = (Vec::new(), 0);
        for (index, (range, id)) in tokens.iter().enumerate() {
            let end = tokens.get(index + 1).map_or(text.len(), |(next, _)| next.start);
            let range = match self.added.get(*id) {
                Some(token) => widened(token, &text, start..end, range.clone()),
                None => range.clone(),
            };
            parts.push((start..range.start, None));
            start = range.end;
            parts.push((range, Some(*id)));
        }
        parts.push((start..text.len(), None));
        Ok((text, parts))
    }
}
