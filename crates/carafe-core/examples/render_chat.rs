//! Renders chats with a model's template: one JSON object a line in, one a line out.
//!
//! ```text
//! cargo run --release -p carafe-core --example render_chat -- template.json < chats.jsonl
//! ```
//!
//! `template.json` has `source`, `special_tokens` (an object) and `added_tokens` (objects with
//! `text` and `special`). A line in has the fields of `Chat`, with `messages`, `tools` and
//! `template_arguments` as JSON values or as JSON text. A line out is `{"pieces": [["control" or
//! "text", …], …]}`, or `{"error": …, "request_fault": …, "field": …}`. The first line out has the
//! template's control tokens.
#![expect(clippy::print_stdout, reason = "it answers on its standard output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;

use carafe_core::chat::{AddedToken, Chat, ChatPiece, ChatTemplate};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Template {
    source: String,
    special_tokens: BTreeMap<String, String>,
    added_tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    text: String,
    special: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: render_chat template.json < chats.jsonl")?;
    let template: Template = serde_json::from_slice(&std::fs::read(path)?)?;
    let added = template.added_tokens.into_iter().map(|token| AddedToken { text: token.text, special: token.special });
    let added: Vec<AddedToken> = added.collect();
    let template = ChatTemplate::open(&template.source, &template.special_tokens, &added)?;
    let reasoning = template.reasoning().map(|tags| [&tags.start, &tags.end]);
    println!("{}", json!({ "control_tokens": template.control_tokens().collect::<Vec<_>>(), "reasoning": reasoning }));
    for line in std::io::stdin().lock().lines() {
        println!("{}", rendered(&template, &serde_json::from_str(&line?)?));
    }
    Ok(())
}

fn rendered(template: &ChatTemplate, line: &Value) -> Value {
    match template.render(&chat(line)) {
        Ok(pieces) => json!({ "pieces": pieces.iter().map(piece).collect::<Vec<_>>() }),
        Err(error) => {
            json!({ "error": error.to_string(), "request_fault": error.is_request_fault(), "field": error.request_field() })
        }
    }
}

/// JSON text is taken as it is, since a value that was read here has lost the order of its keys.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

fn chat(line: &Value) -> Chat {
    Chat {
        messages: text(&line["messages"]).unwrap_or_default(),
        tools: text(&line["tools"]),
        template_arguments: text(&line["template_arguments"]),
        add_generation_prompt: line["add_generation_prompt"].as_bool().unwrap_or_default(),
        continue_final_message: line["continue_final_message"].as_bool().unwrap_or_default(),
        now: line["now"].as_i64().unwrap_or_default(),
    }
}

fn piece(piece: &ChatPiece) -> Value {
    match piece {
        ChatPiece::Control(text) => json!(["control", text]),
        ChatPiece::Text(text) => json!(["text", text]),
    }
}
