//! Conversations into tokens: the chat template renders, the tokenizer encodes its pieces.
//!
//! Both know which added tokens control a conversation: the template's own choice is what the
//! tokenizer is held to, so that no text between control tokens becomes one of them.

use std::collections::BTreeMap;

use super::{reasoning::ReasoningMarks, request_error::RequestError};
use crate::{
    chat::{self, Chat, ChatPiece, ChatTemplate, TemplateError},
    tokenizer::{ControlTokens, Piece, Tokenizer},
};

/// A model's chat template, with the ids of the control tokens that it may write.
#[derive(Debug)]
pub struct Conversations {
    template: ChatTemplate,
    ids: BTreeMap<String, u32>,
    controls: ControlTokens,
}

impl Conversations {
    /// Reads the template of a model whose tokenizer this is. `special_tokens` are the texts that it
    /// may name, such as `bos_token`.
    ///
    /// # Errors
    /// As [`ChatTemplate::open`] and [`ChatTemplate::check`].
    pub fn open(
        source: &str,
        special_tokens: &BTreeMap<String, String>,
        tokenizer: &Tokenizer,
    ) -> Result<Self, TemplateError> {
        let added = tokenizer.added_tokens().iter();
        let tokens = added.map(|token| chat::AddedToken { text: token.content.clone(), special: token.special });
        let template = ChatTemplate::open(source, special_tokens, &tokens.collect::<Vec<_>>())?;
        template.check()?;
        let controls = tokenizer.control_tokens(template.control_tokens());
        let added = tokenizer.added_tokens().iter().filter(|token| controls.contains(token.id));
        let ids = added.map(|token| (token.content.clone(), token.id)).collect();
        Ok(Self { template, ids, controls })
    }

    /// The text of a conversation.
    pub(super) fn text(&self, chat: &Chat) -> Result<String, RequestError> {
        let texts = self.template.render(chat)?.into_iter().map(|piece| match piece {
            ChatPiece::Control(text) | ChatPiece::Text(text) => text,
        });
        Ok(texts.collect())
    }

    /// The tokens of a conversation, and the marks of reasoning if the template knows any.
    pub(super) fn tokens(
        &self,
        chat: &Chat,
        tokenizer: &Tokenizer,
    ) -> Result<(Vec<u32>, Option<ReasoningMarks>), RequestError> {
        let rendered = self.template.render(chat)?;
        let pieces: Vec<Piece<'_>> = rendered.iter().map(|piece| self.piece(piece)).collect();
        let tokens = tokenizer.encode_pieces(&pieces, &self.controls).map_err(RequestError::Messages)?;
        let marks = self.template.reasoning().map(|marks| ReasoningMarks {
            start: marks.start.clone(),
            end: marks.end.clone(),
            is_open: marks.is_open_after(&rendered),
        });
        Ok((tokens, marks))
    }

    fn piece<'a>(&self, piece: &'a ChatPiece) -> Piece<'a> {
        match piece {
            ChatPiece::Text(text) => Piece::Text(text),
            // Control tokens are among the tokenizer's own; a text has no harm in it either.
            ChatPiece::Control(text) => self.ids.get(text).map_or(Piece::Text(text), |&id| Piece::Token(id)),
        }
    }
}
