//! Conversations into tokens, and what is refused of them before a token is made.

use std::collections::BTreeMap;

use carafe_core::chat::Chat;
use carafe_core::text::{Conversations, Preparer, Prompt, Request, RequestError};
use carafe_core::tokenizer::Tokenizer;
use serde_json::json;

use crate::fake::{self, greedy, model};

const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}";

fn prepared(tokenizer: Tokenizer, chat: Chat) -> Result<Vec<u32>, RequestError> {
    let conversations = Conversations::open(TEMPLATE, &BTreeMap::new(), &tokenizer).unwrap();
    let preparer = Preparer::new(model(), tokenizer, Some(conversations)).unwrap();
    let request = Request { prompt: Prompt::Chat(chat), ..greedy(1) };
    preparer.prepare(request).map(|prepared| prepared.tokens)
}

fn chat(contents: &[&str]) -> Chat {
    let message = |content: &&str| json!({ "role": "user", "content": content });
    Chat { messages: json!(contents.iter().map(message).collect::<Vec<_>>()).to_string(), ..Chat::default() }
}

#[test]
fn a_character_without_a_token_is_found_in_its_message() {
    let mut json = fake::tokenizer_json();
    json["model"]["vocab"].as_object_mut().unwrap().remove("\u{106}");
    let refused = prepared(fake::open(&json).unwrap(), chat(&["a", "b\u{6}"])).unwrap_err();
    assert_eq!(refused.parameter(), Some("messages[1].content"));
    assert_eq!(refused.to_string(), "`messages[1].content` cannot be turned into tokens");
}

#[test]
fn tools_that_the_template_does_not_show_are_refused() {
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]).to_string();
    let refused = prepared(fake::tokenizer(), Chat { tools: Some(tools), ..chat(&["a"]) }).unwrap_err();
    assert_eq!(refused.parameter(), Some("tools"));
    assert!(prepared(fake::tokenizer(), chat(&["a"])).is_ok());
}

#[test]
fn a_conversation_that_cannot_fit_is_refused_before_it_is_encoded() {
    let refused = prepared(fake::tokenizer(), chat(&["x".repeat(400_000).as_str()])).unwrap_err();
    assert!(matches!(refused, RequestError::ContextExceeded(_)), "{refused}");
    assert!(refused.to_string().contains("at least"), "{refused}");
}
