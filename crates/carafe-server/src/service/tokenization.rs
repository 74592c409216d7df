//! Tokens of prompts, texts of tokens, and what a chat template makes of a conversation, without
//! generating anything. It takes one of the model's permits while it lasts.

use std::sync::Arc;
use std::time::Instant;

use carafe_host::text::{Chat, Prompt, TextModel};
use carafe_host::tokenizer::Token;

use super::caller::Caller;
use crate::admission::Permit;
use crate::card::ModelCard;
use crate::error::ApiError;
use crate::models::Served;

/// A text model's tokenizer and template, for one request.
pub(crate) struct Tokenization {
    caller: Caller,
    served: Arc<Served<TextModel>>,
    _permit: Permit,
}

impl Tokenization {
    /// Those of the text model of this name, or of the first one.
    pub(crate) fn find(caller: Caller, name: Option<&str>) -> Result<Self, ApiError> {
        let served = caller.server.models()?.text(name)?.clone();
        caller.record.note(|facts| facts.model = Some(served.card.id.clone()));
        caller.tenant.check_tokens(Instant::now())?;
        let permit = served.permits.take(&caller.tenant, 1)?;
        Ok(Self { caller, served, _permit: permit })
    }

    /// What there is to say of the model.
    pub(crate) fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// The tokens of a prompt.
    pub(crate) async fn tokenize(&mut self, prompt: Prompt) -> Result<Vec<Token>, ApiError> {
        if matches!(prompt, Prompt::Chat(_)) {
            self.served.check_chat()?;
        }
        Ok(self.caller.deadline.bound(self.served.model.tokenize(prompt)).await??)
    }

    /// The text of tokens.
    pub(crate) async fn detokenize(&mut self, tokens: Vec<u32>) -> Result<String, ApiError> {
        Ok(self.caller.deadline.bound(self.served.model.detokenize(tokens)).await??)
    }

    /// The text that the model's chat template makes of a conversation.
    pub(crate) async fn render(&mut self, chat: Chat) -> Result<String, ApiError> {
        self.served.check_chat()?;
        Ok(self.caller.deadline.bound(self.served.model.render(chat)).await??)
    }
}
