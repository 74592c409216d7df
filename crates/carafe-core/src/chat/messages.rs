//! A client's messages, tools and template arguments, checked field by field, and as the template
//! sees them.
//!
//! Fields that no template of ours could know are refused by name; of OpenAI's fields those that
//! are null are taken away. The names of fields and a message's role are ours, every other string
//! is the client's and is marked.

use std::sync::Arc;

use minijinja::Value;

use super::error::ChatError;
use super::json::Json;
use super::marks::Marks;
use super::object::ClientObject;

/// The roles that a message may have.
pub(super) const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// The other words that are ours in a message: names of fields, and the types of parts and calls.
pub(super) const OWN_WORDS: [&str; 11] = [
    "arguments",
    "content",
    "function",
    "id",
    "name",
    "reasoning_content",
    "role",
    "text",
    "tool_call_id",
    "tool_calls",
    "type",
];

/// OpenAI's fields of a message that have no effect when they are null or empty, as in an answer
/// that is sent back.
const EMPTY_FIELDS: [&str; 4] = ["refusal", "audio", "annotations", "function_call"];

/// What the template does with a content, learnt from its source.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentRules {
    /// It goes through the parts of a content; otherwise their texts are joined by line breaks.
    pub(super) takes_parts: bool,
    /// It asks if a content is none; otherwise null becomes an empty text.
    pub(super) takes_null: bool,
}

/// How the arguments of a call in the history reach the template.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Arguments {
    /// As the object that their JSON text holds, where it holds one.
    Parsed,
    /// As the client wrote them.
    Text,
}

/// The parts of a request, read from their JSON texts.
pub(super) struct Parts {
    pub(super) messages: Json,
    pub(super) tools: Option<Json>,
    pub(super) template_arguments: Option<Json>,
}

impl Parts {
    pub(super) fn read(messages: &str, tools: Option<&str>, arguments: Option<&str>) -> Result<Self, ChatError> {
        let parse = |field: &str, text: &str| {
            Json::parse(text).map_err(|reason| ChatError::field(field, format!("cannot be read: {reason}")))
        };
        Ok(Self {
            messages: parse("messages", messages)?,
            tools: tools.map(|text| parse("tools", text)).transpose()?,
            template_arguments: arguments.map(|text| parse("chat_template_kwargs", text)).transpose()?,
        })
    }

    /// Whether there is a tool.
    pub(super) fn has_tools(&self) -> bool {
        self.tools.as_ref().is_some_and(|tools| !tools.is_empty())
    }

    /// All that there are.
    pub(super) fn all(&self) -> Vec<&Json> {
        [Some(&self.messages), self.tools.as_ref(), self.template_arguments.as_ref()].into_iter().flatten().collect()
    }
}

/// Turns a request into values, with its marks.
pub(super) struct Reader<'a> {
    pub(super) marks: &'a Arc<Marks>,
    pub(super) content: ContentRules,
    pub(super) arguments: Arguments,
    /// Whether the last message gets a sentinel behind its content.
    pub(super) continue_final_message: bool,
}

pub(super) type Entries = Vec<(String, Value)>;

impl Reader<'_> {
    /// The list of messages.
    pub(super) fn messages(&self, messages: &Json) -> Result<Vec<Value>, ChatError> {
        let Json::Array(items) = messages else {
            return Err(expected("messages", "an array of messages", messages));
        };
        if items.is_empty() {
            return Err(ChatError::field("messages", "is empty; expected at least one message"));
        }
        let last = items.len() - 1;
        let message =
            |(at, item)| self.message(&format!("messages[{at}]"), item, at == last && self.continue_final_message);
        items.iter().enumerate().map(message).collect()
    }

    fn message(&self, field: &str, message: &Json, continued: bool) -> Result<Value, ChatError> {
        let Json::Object(entries) = message else {
            return Err(expected(field, "an object with `role` and `content`", message));
        };
        let role = role(field, entries)?;
        let mut out = Entries::new();
        for (key, value) in entries {
            let name = format!("{field}.{key}");
            let entry = match (key.as_str(), value) {
                ("role", _) => Some(Value::from(role)),
                ("content", _) => self.content(&name, value, continued)?,
                (key, Json::Null) if is_known(key) => None,
                (key, Json::Array(items)) if EMPTY_FIELDS.contains(&key) && items.is_empty() => None,
                ("name", Json::String(text)) => Some(self.text(text)),
                ("reasoning_content", Json::String(text)) if role == "assistant" => Some(self.text(text)),
                ("tool_call_id", Json::String(text)) if role == "tool" => Some(self.text(text)),
                ("tool_calls", Json::Array(calls)) if role == "assistant" => self.calls(&name, calls)?,
                (key, _) => return Err(unexpected(&name, key, role, value)),
            };
            out.extend(entry.map(|value| (key.clone(), value)));
        }
        self.complete(field, role, out, continued)
    }

    /// A message needs a content, unless it calls tools.
    fn complete(&self, field: &str, role: &str, mut out: Entries, continued: bool) -> Result<Value, ChatError> {
        let has = |key: &str| out.iter().any(|(name, _)| name == key);
        if has("content") {
            return Ok(map(out));
        }
        if continued {
            return Err(ChatError::field(
                format!("{field}.content"),
                "is missing, but `continue_final_message` continues it",
            ));
        }
        if role != "assistant" || !(has("tool_calls") || has("reasoning_content")) {
            let reason = "is missing; expected a string or an array of text parts (only an assistant's message with `tool_calls` may have none)";
            return Err(ChatError::field(format!("{field}.content"), reason));
        }
        out.push(("content".to_owned(), if self.content.takes_null { Value::from(()) } else { Value::from("") }));
        Ok(map(out))
    }

    fn content(&self, field: &str, content: &Json, continued: bool) -> Result<Option<Value>, ChatError> {
        let end = if continued { format!("{} ", self.marks.sentinel()) } else { String::new() };
        match content {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(Value::from(self.marks.usual_text(text) + &end))),
            Json::Array(parts) => {
                let mut texts = Vec::new();
                for (at, part) in parts.iter().enumerate() {
                    texts.push(self.marks.usual_text(text_part(&format!("{field}[{at}]"), part)?));
                }
                if continued {
                    let last = texts.last_mut().ok_or_else(|| {
                        ChatError::field(field, "has no text that `continue_final_message` could continue")
                    })?;
                    last.push_str(&end);
                }
                if !self.content.takes_parts {
                    return Ok(Some(Value::from(texts.join("\n"))));
                }
                let part =
                    |text| map(vec![("type".to_owned(), Value::from("text")), ("text".to_owned(), Value::from(text))]);
                Ok(Some(texts.into_iter().map(part).collect()))
            }
            _ => Err(expected(field, "a string or an array of text parts", content)),
        }
    }

    /// The template's arguments, which may not stand in for what has a field of its own.
    pub(super) fn template_arguments(&self, arguments: &Json, reserved: &[&str]) -> Result<Entries, ChatError> {
        let field = "chat_template_kwargs";
        let Json::Object(entries) = arguments else {
            return Err(expected(field, "an object", arguments));
        };
        let argument = |(key, value): &(String, Json)| {
            if reserved.contains(&key.as_str()) {
                return Err(ChatError::field(
                    format!("{field}.{key}"),
                    "is set by the request itself or by the model; take it out",
                ));
            }
            Ok((key.clone(), self.value_under(key, value)))
        };
        entries.iter().map(argument).collect()
    }

    /// A client's string.
    pub(super) fn text(&self, text: &str) -> Value {
        Value::from(self.marks.usual_text(text))
    }

    /// A client's value.
    pub(super) fn value(&self, value: &Json) -> Value {
        match value {
            Json::Null => Value::from(()),
            Json::Bool(value) => Value::from(*value),
            Json::Integer(value) => i64::try_from(*value).map_or_else(|_| Value::from(*value), Value::from),
            Json::Float(value) => Value::from(*value),
            Json::String(text) => self.text(text),
            Json::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Json::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), self.value_under(key, value)));
                Value::from_object(ClientObject::new(self.marks, entries.collect()))
            }
        }
    }

    /// A value whose key a template may take for a message's: only a message has a role of ours.
    fn value_under(&self, key: &str, value: &Json) -> Value {
        match value {
            Json::String(text) if key == "role" => Value::from(self.marks.strict_text(text)),
            _ => self.value(value),
        }
    }
}

/// A mapping whose keys are ours.
pub(super) fn map(entries: Entries) -> Value {
    Value::from_pairs(entries)
}

fn is_known(key: &str) -> bool {
    matches!(key, "name" | "reasoning_content" | "tool_call_id" | "tool_calls") || EMPTY_FIELDS.contains(&key)
}

fn role(field: &str, entries: &[(String, Json)]) -> Result<&'static str, ChatError> {
    let field = format!("{field}.role");
    let expected_roles = "`system`, `developer`, `user`, `assistant` or `tool`";
    match entries.iter().find(|(key, _)| key == "role").map(|(_, value)| value) {
        Some(Json::String(text)) => ROLES
            .into_iter()
            .find(|role| role == text)
            .ok_or_else(|| ChatError::field(field, format!("is `{}`; expected {expected_roles}", shortened(text)))),
        Some(value) => Err(expected(&field, expected_roles, value)),
        None => Err(ChatError::field(field, format!("is missing; expected {expected_roles}"))),
    }
}

fn text_part<'a>(field: &str, part: &'a Json) -> Result<&'a str, ChatError> {
    let Json::Object(entries) = part else {
        return Err(expected(field, "a part such as `{\"type\": \"text\", \"text\": …}`", part));
    };
    let get = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match get("type") {
        Some(Json::String(kind)) if kind == "text" => {}
        Some(Json::String(kind)) => {
            return Err(ChatError::field(
                format!("{field}.type"),
                format!("is `{}`; only `text` parts are taken", shortened(kind)),
            ));
        }
        _ => return Err(ChatError::field(format!("{field}.type"), "is missing; expected `text`")),
    }
    if let Some((key, _)) = entries.iter().find(|(key, _)| key != "type" && key != "text") {
        return Err(ChatError::field(
            format!("{field}.{key}"),
            "is not a field of a text part; expected `type` and `text`",
        ));
    }
    match get("text") {
        Some(Json::String(text)) => Ok(text),
        Some(value) => Err(expected(&format!("{field}.text"), "a string", value)),
        None => Err(ChatError::field(format!("{field}.text"), "is missing; expected a string")),
    }
}

fn unexpected(field: &str, key: &str, role: &str, value: &Json) -> ChatError {
    match key {
        "tool_calls" | "reasoning_content" if role != "assistant" => {
            ChatError::field(field, format!("belongs to messages of the role `assistant`, not `{role}`"))
        }
        "tool_call_id" if role != "tool" => {
            ChatError::field(field, format!("belongs to messages of the role `tool`, not `{role}`"))
        }
        "tool_calls" => expected(field, "an array of tool calls", value),
        "name" | "reasoning_content" | "tool_call_id" => expected(field, "a string", value),
        _ if EMPTY_FIELDS.contains(&key) => ChatError::field(field, "is not supported; leave it out or make it null"),
        _ => ChatError::field(
            field,
            "is not a known field of a message; expected `role`, `content`, `name`, `tool_calls`, `tool_call_id` or `reasoning_content`",
        ),
    }
}

pub(super) fn expected(field: &str, what: &str, got: &Json) -> ChatError {
    ChatError::field(field, format!("is {}; expected {what}", got.kind()))
}

/// A client's text in a message of ours, which nobody wants to be a megabyte long.
pub(super) fn shortened(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { start + "…" } else { start }
}
