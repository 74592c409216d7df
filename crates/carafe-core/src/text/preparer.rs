//! Makes tokens of prompts, apart from the generator, and checks the requests that they belong to.
//!
//! A long prompt takes its tokenizer a while, and a conversation its template; so this may run on
//! another thread than the one that steps the batch. It has the model's sizes, tokenizer and chat
//! template, and knows nothing of what runs.

use super::{
    conversation::Conversations,
    model::{ModelError, TextModel},
    prompt::{Prompt, TextPrompt},
    reasoning::{Reasoning, ReasoningTags},
    request::{Request, check_prompt_bytes},
    request_error::RequestError,
};
use crate::{chat::Chat, tokenizer::Tokenizer};

/// What makes tokens of prompts.
#[derive(Debug)]
pub struct Preparer {
    model: TextModel,
    tokenizer: Tokenizer,
    /// None where the model has no chat template.
    conversations: Option<Conversations>,
}

/// A request's prompt, and what its making has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedPrompt {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// What the request is to be submitted with.
    pub reasoning: Reasoning,
}

impl Preparer {
    /// A preparer for a model whose tokenizer this is, and whose chat template, if it has one.
    pub fn new(
        model: TextModel,
        tokenizer: Tokenizer,
        conversations: Option<Conversations>,
    ) -> Result<Self, ModelError> {
        model.check(&tokenizer)?;
        Ok(Self { model, tokenizer, conversations })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Checks a request, and makes tokens of its prompt.
    pub fn prepare(&self, mut request: Request) -> Result<PreparedPrompt, RequestError> {
        let mut tags = None;
        if let Prompt::Chat(chat) = &request.prompt {
            let rendered = self.conversations()?.rendered(chat)?;
            check_prompt_bytes(rendered.bytes(), &self.model, &self.tokenizer)?;
            let tokens = self.conversations()?.tokens(chat, &rendered, &self.tokenizer)?;
            (request.prompt, tags) = (Prompt::Tokens(tokens), rendered.tags);
        }
        let reasoning = prepared(request.reasoning.clone(), tags);
        let request = request.validate(&self.model, &self.tokenizer)?;
        Ok(PreparedPrompt { tokens: request.prompt().to_vec(), reasoning })
    }

    /// The text that the model's chat template makes of a conversation.
    pub fn render(&self, chat: &Chat) -> Result<String, RequestError> {
        self.conversations()?.text(chat)
    }

    /// The tokens of a prompt, whatever their number.
    pub fn tokenize(&self, prompt: Prompt) -> Result<Vec<u32>, RequestError> {
        match prompt {
            Prompt::Text(TextPrompt { text, options }) => {
                self.tokenizer.encode(&text, options).map_err(RequestError::Tokenizer)
            }
            Prompt::Tokens(tokens) => Ok(tokens),
            Prompt::Chat(chat) => {
                let conversations = self.conversations()?;
                conversations.tokens(&chat, &conversations.rendered(&chat)?, &self.tokenizer)
            }
        }
    }

    /// The text of tokens, special ones included.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String, RequestError> {
        self.tokenizer.decode(tokens).map_err(RequestError::Detokenize)
    }

    fn conversations(&self) -> Result<&Conversations, RequestError> {
        self.conversations.as_ref().ok_or(RequestError::NoChatTemplate)
    }
}

/// What a request's reasoning becomes, where the template knows these tags.
fn prepared(asked: Reasoning, tags: Option<ReasoningTags>) -> Reasoning {
    match (asked, tags) {
        (Reasoning::Apart, Some(tags)) => Reasoning::Tagged(tags),
        (Reasoning::Apart, None) => Reasoning::InText,
        (asked, _) => asked,
    }
}
