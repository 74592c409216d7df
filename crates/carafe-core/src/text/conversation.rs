//! Conversations into tokens: the chat template renders, the tokenizer encodes its pieces.
//!
//! Both know which added tokens control a conversation: the template's own choice is what the
//! tokenizer is held to, so that no text between control tokens becomes one of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{reasoning::ReasoningTags, request_error::RequestError};
use crate::{
    chat::{self, Chat, ChatPiece, ChatTemplate, TemplateError},
    tokenizer::{ControlTokens, Piece, Tokenizer, TokenizerError},
};

/// A model's chat template, with the ids of the control tokens that it may write.
#[derive(Debug)]
pub struct Conversations {
    template: ChatTemplate,
    ids: BTreeMap<String, u32>,
    controls: ControlTokens,
}

impl Conversations {
    /// Reads the template of a model whose tokenizer this is. `special_tokens` are the texts that
    /// it may name, such as `bos_token`.
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
        let texts = self.rendered(chat)?.pieces.into_iter().map(|piece| match piece {
            ChatPiece::Control(text) | ChatPiece::Text(text) => text,
        });
        Ok(texts.collect())
    }

    /// What the template makes of a conversation, all of whose parts have an effect.
    pub(super) fn rendered(&self, chat: &Chat) -> Result<Rendered, RequestError> {
        let pieces = self.template.render(chat)?;
        self.template.check_effects(chat, &pieces)?;
        let tags = self.template.reasoning().map(|tags| ReasoningTags {
            start: tags.start.clone(),
            end: tags.end.clone(),
            is_open: tags.is_open_after(&pieces),
        });
        Ok(Rendered { pieces, tags })
    }

    /// The tokens of a rendered conversation.
    pub(super) fn tokens(
        &self,
        chat: &Chat,
        rendered: &Rendered,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<u32>, RequestError> {
        let pieces: Vec<Piece<'_>> = rendered.pieces.iter().map(|piece| self.piece(piece)).collect();
        let tokens = tokenizer.encode_pieces(&pieces, &self.controls);
        tokens.map_err(|source| RequestError::Conversation { field: field_at_fault(chat, &source), source })
    }

    fn piece<'a>(&self, piece: &'a ChatPiece) -> Piece<'a> {
        match piece {
            ChatPiece::Text(text) => Piece::Text(text),
            // Control tokens are among the tokenizer's own; a text has no harm in it either.
            ChatPiece::Control(text) => self.ids.get(text).map_or(Piece::Text(text), |&id| Piece::Token(id)),
        }
    }
}

/// A conversation as text.
pub(super) struct Rendered {
    pieces: Vec<ChatPiece>,
    /// The tags of reasoning, if the template knows any.
    pub(super) tags: Option<ReasoningTags>,
}

impl Rendered {
    /// How long the text is.
    pub(super) fn bytes(&self) -> usize {
        let length = |piece: &ChatPiece| match piece {
            ChatPiece::Control(text) | ChatPiece::Text(text) => text.len(),
        };
        self.pieces.iter().map(length).sum()
    }
}

/// The first field with the character or word that no token stands for.
fn field_at_fault(chat: &Chat, error: &TokenizerError) -> String {
    let TokenizerError::NoToken { text } = error else { return "messages".to_owned() };
    let has = |value: &Value| holds(value, text);
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let messages = read(&chat.messages);
    let found = messages.as_array().into_iter().flatten().enumerate().find_map(|(at, message)| {
        let fields = message.as_object()?;
        let key = fields.iter().find(|(_, value)| has(value)).map(|(key, _)| key)?;
        Some(format!("messages[{at}].{key}"))
    });
    let in_tools = || chat.tools.as_deref().is_some_and(|tools| has(&read(tools))).then(|| "tools".to_owned());
    found.or_else(in_tools).unwrap_or_else(|| "messages".to_owned())
}

/// Whether a text is in some string of a value.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains(text) || holds(value, text)),
        _ => false,
    }
}
