//! What requests with a conversation have in common: its fields, and what a chat template is given
//! of them.

use std::time::SystemTime;

use carafe_host::text::Chat;

use super::json_text::{JsonObject, JsonObjects};
use crate::card::seconds;
use crate::error::ApiError;

/// A conversation as a body has it.
pub(crate) struct Conversation {
    pub(crate) messages: Option<JsonObjects>,
    pub(crate) tools: Option<JsonObjects>,
    pub(crate) chat_template_kwargs: Option<JsonObject>,
    pub(crate) add_generation_prompt: Option<bool>,
    pub(crate) continue_final_message: Option<bool>,
}

impl Conversation {
    /// What the template is given, at this time.
    pub(crate) fn chat(self) -> Result<Chat, ApiError> {
        let missing = || ApiError::invalid("messages", "`messages` is missing; it must be an array of messages");
        let continue_final_message = self.continue_final_message.unwrap_or_default();
        Ok(Chat {
            messages: self.messages.ok_or_else(missing)?.0,
            tools: self.tools.map(|JsonObjects(tools)| tools),
            template_arguments: self.chat_template_kwargs.map(|JsonObject(arguments)| arguments),
            add_generation_prompt: self.add_generation_prompt.unwrap_or(!continue_final_message),
            continue_final_message,
            now: seconds(SystemTime::now()),
        })
    }
}

/// Declares a body with a conversation that is not answered: its own fields, `messages` among them,
/// then what else a chat template is given. A macro, for the reasons of [`super::body`].
macro_rules! conversation_body {
    ($(#[$attribute:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$attribute])*
        #[derive(Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($own)*
            /// Of a conversation: functions for the template to describe.
            tools: Option<$crate::openai::json_text::JsonObjects>,
            /// Of a conversation: further variables of the chat template.
            chat_template_kwargs: Option<$crate::openai::json_text::JsonObject>,
            /// Of a conversation: whether the prompt ends with what begins the assistant's message;
            /// true if it is absent, unless the final message is continued.
            add_generation_prompt: Option<bool>,
            /// Of a conversation: whether the model is to go on with the last message.
            continue_final_message: Option<bool>,
        }

        impl $name {
            fn into_conversation(self) -> $crate::openai::conversation::Conversation {
                $crate::openai::conversation::Conversation {
                    messages: self.messages,
                    tools: self.tools,
                    chat_template_kwargs: self.chat_template_kwargs,
                    add_generation_prompt: self.add_generation_prompt,
                    continue_final_message: self.continue_final_message,
                }
            }
        }
    };
}

pub(crate) use conversation_body;
