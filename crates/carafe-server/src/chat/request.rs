//! The body of `POST /v1/chat/completions`: OpenAI's fields, and the usual extras of servers that
//! run open models.

use std::fmt;
use std::num::NonZeroU32;

use carafe_host::text::{Prompt, Reasoning};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openai::body::generation_body;
use crate::openai::conversation::Conversation;
use crate::openai::json_text::{JsonObject, JsonObjects};
use crate::openai::{Api, Body};
use crate::service::GenerationRequest;

generation_body! {
    /// A request to answer a conversation. Every field but `messages` may be absent or null.
    ChatRequest {
        /// The model's name; `/v1/models` lists them, and which have a chat template. The first
        /// text model if it is absent.
        #[schema(example = "tales")]
        pub(crate) model: Option<String>,
        /// The conversation: each message has a `role` (`system`, `developer`, `user`, `assistant`,
        /// `tool`) and a `content`, a text or text parts.
        #[schema(required = true, nullable = false, example = json!([{ "role": "user", "content": "Hello" }]))]
        pub(crate) messages: Option<JsonObjects>,
        /// Functions that the model may call, for its template to describe. A call comes as text.
        pub(crate) tools: Option<JsonObjects>,
        /// Whether the template is given the tools; `auto` if it is absent.
        pub(crate) tool_choice: Option<ToolChoice>,
        /// Most tokens to generate, those of the reasoning included; with the prompt at most the
        /// model's context. What the context has room for, or the server's default if that is less,
        /// where it is absent.
        #[schema(minimum = 0)]
        pub(crate) max_completion_tokens: Option<u32>,
        /// The older name of `max_completion_tokens`.
        #[schema(minimum = 0)]
        pub(crate) max_tokens: Option<u32>,
        /// Whether to answer the log-probability of each token.
        pub(crate) logprobs: Option<bool>,
        /// The log-probabilities of this many alternatives as well; with `logprobs` only.
        #[schema(minimum = 0, maximum = 20)]
        pub(crate) top_logprobs: Option<u32>,
        /// Further variables of the chat template, as `{"enable_thinking": false}`.
        pub(crate) chat_template_kwargs: Option<JsonObject>,
        /// Whether the prompt ends with what begins the assistant's message; true if it is absent,
        /// unless the final message is continued.
        pub(crate) add_generation_prompt: Option<bool>,
        /// Whether the model goes on with the last message, and does not begin one of its own.
        pub(crate) continue_final_message: Option<bool>,
        /// Whether the model's reasoning comes as `reasoning_content`; true if it is absent. False
        /// leaves it in the content, with its tags.
        pub(crate) separate_reasoning: Option<bool>,
    }
}

/// Whether the template is given the tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
}

/// By hand, since an object, which OpenAI's API has for a tool that must be called, is to be refused
/// in the same words as a text.
impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl Visitor<'_> for Choice {
            type Value = ToolChoice;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`auto` or `none`, since no model here can be made to call a tool")
            }

            fn visit_str<E: Error>(self, choice: &str) -> Result<ToolChoice, E> {
                match choice {
                    "auto" => Ok(ToolChoice::Auto),
                    "none" => Ok(ToolChoice::None),
                    _ => Err(E::invalid_value(Unexpected::Str(choice), &self)),
                }
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl Body for ChatRequest {
    const API: Api = Api::Chat;
}

impl ChatRequest {
    /// What the service's parameters are called here, where that is another name.
    pub(super) fn names(&self) -> [(&'static str, &'static str); 3] {
        let max_tokens = if self.max_tokens.is_some() { "max_tokens" } else { "max_completion_tokens" };
        [("prompt", "messages"), ("max_tokens", max_tokens), ("logprobs", "top_logprobs")]
    }

    /// Whether log-probabilities are asked for.
    pub(super) fn has_logprobs(&self) -> Result<bool, ApiError> {
        let logprobs = self.logprobs.unwrap_or_default();
        if !logprobs && self.top_logprobs.is_some_and(|count| count > 0) {
            let message = "`top_logprobs` is only possible where `logprobs` is true";
            return Err(ApiError::invalid("top_logprobs", message));
        }
        Ok(logprobs)
    }

    /// What is asked for. `default_max_tokens` bounds what is generated if it does not say so; none
    /// leaves it to the context.
    pub(super) fn into_generation(
        mut self,
        default_max_tokens: Option<NonZeroU32>,
    ) -> Result<GenerationRequest, ApiError> {
        let logprobs = self.has_logprobs()?.then(|| self.top_logprobs.unwrap_or_default());
        let separate = self.separate_reasoning.unwrap_or(true);
        Ok(GenerationRequest {
            max_tokens: self.max_tokens()?,
            default_max_tokens: default_max_tokens.map_or(u32::MAX, NonZeroU32::get),
            logprobs,
            reasoning: if separate { Reasoning::Apart } else { Reasoning::InText },
            prompts: vec![Some(Prompt::Chat(self.conversation().chat()?))],
            model: self.model.take(),
            ..self.generation()?
        })
    }

    fn max_tokens(&self) -> Result<Option<u32>, ApiError> {
        match (self.max_completion_tokens, self.max_tokens) {
            (Some(new), Some(old)) if new != old => {
                let message = format!(
                    "`max_tokens` is {old} and `max_completion_tokens` {new}; they are two names of one field, give one"
                );
                Err(ApiError::invalid("max_tokens", message))
            }
            (new, old) => Ok(new.or(old)),
        }
    }

    /// The conversation; takes it out.
    fn conversation(&mut self) -> Conversation {
        let has_tools = self.tool_choice.unwrap_or_default() == ToolChoice::Auto;
        Conversation {
            messages: self.messages.take(),
            tools: self.tools.take().filter(|_| has_tools),
            chat_template_kwargs: self.chat_template_kwargs.take(),
            add_generation_prompt: self.add_generation_prompt,
            continue_final_message: self.continue_final_message,
        }
    }
}
