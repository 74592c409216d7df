//! `POST /tokenize`, `/detokenize` and `/apply-template`: what a model sees of a text or a
//! conversation, in the shapes of vLLM (the first two) and llama.cpp (the last). Nothing is
//! generated.

use axum::Json;
use carafe_host::text::{Prompt, TextPrompt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openai::conversation::conversation_body;
use crate::openai::json_text::JsonObjects;
use crate::openai::token_text;
use crate::openapi::RequestErrors;
use crate::service::{Caller, Tokenization};

conversation_body! {
    /// A text or a conversation to make tokens of; just one of `prompt` and `messages`.
    TokenizeRequest {
        /// The model's name; the first text model if it is absent.
        #[schema(example = "tales")]
        model: Option<String>,
        /// A text.
        #[schema(example = "Once upon a time")]
        prompt: Option<String>,
        /// Of a text: whether it begins with what the tokenizer adds to a text; true if it is
        /// absent.
        add_special_tokens: Option<bool>,
        /// Of a text: whether special tokens that it spells out become control tokens; false if it
        /// is absent.
        parse_special: Option<bool>,
        /// Whether the texts of the tokens are answered as well.
        return_token_strs: Option<bool>,
        /// A conversation, as `/v1/chat/completions` takes it.
        messages: Option<JsonObjects>,
    }
}

/// The tokens of a prompt.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenizeResponse {
    /// How many there are.
    count: usize,
    /// Tokens that a request to this model may have.
    max_model_len: Option<u32>,
    tokens: Vec<u32>,
    /// Their texts, if they were asked for; one that is not whole UTF-8 is spelled `bytes:\xf0\x9f`.
    token_strs: Option<Vec<String>>,
}

/// Makes tokens of a text or a conversation.
#[utoipa::path(
    post, path = "/tokenize", tag = "text", security((), ("key" = [])),
    request_body = TokenizeRequest,
    responses((status = 200, body = TokenizeResponse), RequestErrors)
)]
pub(crate) async fn tokenize(
    caller: Caller,
    crate::extract::Json(body): crate::extract::Json<TokenizeRequest>,
) -> Result<Json<TokenizeResponse>, ApiError> {
    let (model, strings) = (body.model.clone(), body.return_token_strs.unwrap_or_default());
    let prompt = body.into_prompt()?;
    let mut tokenization = Tokenization::find(caller, model.as_deref())?;
    let tokens = tokenization.tokenize(prompt).await?;
    Ok(Json(TokenizeResponse {
        count: tokens.len(),
        max_model_len: tokenization.card().context_length,
        token_strs: strings.then(|| tokens.iter().map(|token| token_text(&token.bytes)).collect()),
        tokens: tokens.into_iter().map(|token| token.id).collect(),
    }))
}

impl TokenizeRequest {
    fn into_prompt(mut self) -> Result<Prompt, ApiError> {
        match (self.prompt.take(), self.messages.is_some()) {
            (Some(text), false) => {
                let add_special_tokens = self.add_special_tokens.unwrap_or(true);
                let parse_special = self.parse_special.unwrap_or_default();
                Ok(Prompt::Text(TextPrompt { text, add_special_tokens, parse_special }))
            }
            (None, true) => self.into_conversation().chat().map(Prompt::Chat),
            (None, false) => Err(ApiError::invalid("prompt", "`prompt` is missing, and so is `messages`; give one")),
            (Some(_), true) => {
                Err(ApiError::invalid("messages", "`prompt` and `messages` are both given; give one of them"))
            }
        }
    }
}

/// Tokens to make a text of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetokenizeRequest {
    /// The model's name; the first text model if it is absent.
    #[schema(example = "tales")]
    model: Option<String>,
    tokens: Vec<u32>,
}

/// A text.
#[derive(Serialize, ToSchema)]
pub(crate) struct PromptResponse {
    prompt: String,
}

/// Makes a text of tokens; special ones have their names in it, and bytes that are no UTF-8 become
/// U+FFFD.
#[utoipa::path(
    post, path = "/detokenize", tag = "text", security((), ("key" = [])),
    request_body = DetokenizeRequest,
    responses((status = 200, body = PromptResponse), RequestErrors)
)]
pub(crate) async fn detokenize(
    caller: Caller,
    crate::extract::Json(body): crate::extract::Json<DetokenizeRequest>,
) -> Result<Json<PromptResponse>, ApiError> {
    let mut tokenization = Tokenization::find(caller, body.model.as_deref())?;
    let prompt = tokenization.detokenize(body.tokens).await?;
    Ok(Json(PromptResponse { prompt }))
}

conversation_body! {
    /// A conversation for the model's template.
    ApplyTemplateRequest {
        /// The model's name; the first text model if it is absent.
        #[schema(example = "tales")]
        model: Option<String>,
        /// The conversation, as `/v1/chat/completions` takes it.
        #[schema(required = true, nullable = false)]
        messages: Option<JsonObjects>,
    }
}

/// Shows what the model's chat template makes of a conversation.
#[utoipa::path(
    post, path = "/apply-template", tag = "text", security((), ("key" = [])),
    request_body = ApplyTemplateRequest,
    responses((status = 200, body = PromptResponse), RequestErrors)
)]
pub(crate) async fn apply_template(
    caller: Caller,
    crate::extract::Json(body): crate::extract::Json<ApplyTemplateRequest>,
) -> Result<Json<PromptResponse>, ApiError> {
    let model = body.model.clone();
    let chat = body.into_conversation().chat()?;
    let prompt = Tokenization::find(caller, model.as_deref())?.render(chat).await?;
    Ok(Json(PromptResponse { prompt }))
}
