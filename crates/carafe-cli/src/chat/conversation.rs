//! What was said so far, in the words of OpenAI's API, which chat templates understand.

use anyhow::{Result, ensure};
use serde::Serialize;

/// Messages, first to last: perhaps the system's, then a person's and the model's in turn.
pub(super) struct Conversation {
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    role: Role,
    content: String,
    /// What the model thought before it answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

impl Conversation {
    /// With this, or nothing, told to the model beforehand.
    pub(super) fn new(system: Option<String>) -> Self {
        let mut conversation = Self { messages: Vec::new() };
        system.into_iter().for_each(|text| conversation.add(Role::System, text, String::new()));
        conversation
    }

    /// Forgets all but what was told beforehand.
    pub(super) fn clear(&mut self) {
        self.messages.retain(|message| message.role == Role::System);
    }

    /// A person's message.
    pub(super) fn ask(&mut self, text: String) {
        self.add(Role::User, text, String::new());
    }

    /// The model's message.
    pub(super) fn answer(&mut self, text: String, reasoning: String) {
        self.add(Role::Assistant, text, reasoning);
    }

    /// Forgets the last answer, for another one.
    pub(super) fn take_back_answer(&mut self) -> Result<()> {
        ensure!(self.last_is(Role::Assistant), "there is no answer yet that could be given again");
        self.messages.pop();
        Ok(())
    }

    /// Forgets the last message of the person.
    pub(super) fn take_back_question(&mut self) {
        if self.last_is(Role::User) {
            self.messages.pop();
        }
    }

    /// A JSON array of the messages.
    pub(super) fn as_json(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.messages)?)
    }

    fn last_is(&self, role: Role) -> bool {
        self.messages.last().is_some_and(|message| message.role == role)
    }

    fn add(&mut self, role: Role, content: String, reasoning_content: String) {
        self.messages.push(Message { role, content, reasoning_content });
    }
}

#[cfg(test)]
mod tests {
    use super::Conversation;

    #[test]
    fn a_conversation_is_json_as_openai_has_it() {
        let mut conversation = Conversation::new(Some("Be brief.".to_owned()));
        conversation.ask("Hello".to_owned());
        conversation.answer("Hi".to_owned(), "A greeting.".to_owned());
        let expected = r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi","reasoning_content":"A greeting."}]"#;
        assert_eq!(conversation.as_json().ok().as_deref(), Some(expected));
        conversation.clear();
        assert_eq!(conversation.as_json().ok().as_deref(), Some(r#"[{"role":"system","content":"Be brief."}]"#));
    }

    #[test]
    fn an_answer_that_is_taken_back_leaves_its_question_and_one_without_answer_goes() {
        let mut conversation = Conversation::new(None);
        assert!(conversation.take_back_answer().is_err());
        conversation.ask("Hello".to_owned());
        conversation.answer("Hi".to_owned(), String::new());
        assert!(conversation.take_back_answer().is_ok());
        assert_eq!(conversation.as_json().ok().as_deref(), Some(r#"[{"role":"user","content":"Hello"}]"#));
        conversation.take_back_question();
        assert_eq!(conversation.as_json().ok().as_deref(), Some("[]"));
    }
}
