//! Makes tokens of prompts, apart from the generator, and checks the requests that they belong to.
//!
//! A long prompt takes its tokenizer a while, and a conversation its template; so this may run on
//! another thread than the one that steps the batch. It has the model's sizes and tokenizer, and
//! knows nothing of what runs.

use super::{
    Tokenizer,
    model::{ModelError, TextModel},
    prompt::{Chat, Prompt, TextPrompt},
    reasoning::Reasoning,
    request::Request,
    request_error::RequestError,
};

/// What makes tokens of prompts.
#[derive(Debug)]
pub struct Preparer {
    model: TextModel,
    tokenizer: Tokenizer,
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
    /// A preparer for a model whose tokenizer this is.
    pub fn new(model: TextModel, tokenizer: Tokenizer) -> Result<Self, ModelError> {
        model.check(&tokenizer)?;
        Ok(Self { model, tokenizer })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Checks a request, and makes tokens of its prompt.
    pub fn prepare(&self, request: Request) -> Result<PreparedPrompt, RequestError> {
        let reasoning = request.reasoning.clone();
        let request = request.validate(&self.model, &self.tokenizer)?;
        Ok(PreparedPrompt { tokens: request.prompt().to_vec(), reasoning })
    }

    /// The text that the model's chat template makes of a conversation.
    pub fn render(&self, _chat: &Chat) -> Result<String, RequestError> {
        Err(RequestError::NoChatTemplate)
    }

    /// The tokens of a prompt, whatever their number.
    pub fn tokenize(&self, prompt: Prompt) -> Result<Vec<u32>, RequestError> {
        match prompt {
            Prompt::Text(TextPrompt { text, .. }) => self.tokenizer.encode(&text).map_err(RequestError::Tokenizer),
            Prompt::Tokens(tokens) => Ok(tokens),
            Prompt::Chat(_) => Err(RequestError::NoChatTemplate),
        }
    }

    /// The text of tokens, special ones included.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String, RequestError> {
        self.tokenizer.decode(tokens).map_err(RequestError::Detokenize)
    }
}
