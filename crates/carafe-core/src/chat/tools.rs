//! A client's tools, and an assistant's calls of them, checked field by field.

use minijinja::Value;

use super::error::ChatError;
use super::json::Json;
use super::messages::{Arguments, Entries, Reader, expected, map};

impl Reader<'_> {
    /// The tools, or nothing where the list is empty: it offers what no list offers.
    pub(super) fn tools(&self, tools: &Json) -> Result<Option<Value>, ChatError> {
        let Json::Array(items) = tools else {
            return Err(expected("tools", "an array of functions", tools));
        };
        for (at, tool) in items.iter().enumerate() {
            check_tool(&format!("tools[{at}]"), tool)?;
        }
        Ok((!items.is_empty()).then(|| items.iter().map(|tool| self.value(tool)).collect()))
    }

    /// The calls of an assistant's message.
    pub(super) fn calls(&self, field: &str, calls: &[Json]) -> Result<Option<Value>, ChatError> {
        let call = |(at, call)| self.call(&format!("{field}[{at}]"), call);
        let calls: Vec<Value> = calls.iter().enumerate().map(call).collect::<Result<_, _>>()?;
        // An empty list says what no list says, and templates ask whether there is one.
        Ok((!calls.is_empty()).then(|| Value::from(calls)))
    }

    fn call(&self, field: &str, call: &Json) -> Result<Value, ChatError> {
        let Json::Object(entries) = call else {
            return Err(expected(field, "an object with `id`, `type` and `function`", call));
        };
        let mut out = Entries::new();
        for (key, value) in entries {
            let name = format!("{field}.{key}");
            match (key.as_str(), value) {
                ("id", Json::String(text)) => out.push((key.clone(), self.text(text))),
                ("type", Json::String(text)) if text == "function" => out.push((key.clone(), Value::from("function"))),
                ("function", Json::Object(function)) => out.push((key.clone(), self.called_function(&name, function)?)),
                // Where a stream's chunks put a call; not part of it.
                ("index", Json::Integer(_)) => {}
                ("id" | "type" | "function" | "index", _) => {
                    return Err(expected(
                        &name,
                        "a call's `id` (a string), `type` (`function`) and `function` (an object)",
                        value,
                    ));
                }
                _ => {
                    return Err(ChatError::field(
                        name,
                        "is not a field of a tool call; expected `id`, `type` and `function`",
                    ));
                }
            }
        }
        if out.iter().all(|(key, _)| key != "function") {
            return Err(ChatError::field(format!("{field}.function"), "is missing"));
        }
        Ok(map(out))
    }

    fn called_function(&self, field: &str, function: &[(String, Json)]) -> Result<Value, ChatError> {
        let mut out = Entries::new();
        for (key, value) in function {
            let name = format!("{field}.{key}");
            match (key.as_str(), value) {
                ("name", Json::String(text)) => out.push((key.clone(), self.text(text))),
                ("arguments", Json::String(text)) => out.push((key.clone(), self.call_arguments(text))),
                ("arguments", Json::Object(_)) => out.push((key.clone(), self.value(value))),
                ("name" | "arguments", _) => return Err(expected(&name, "a string", value)),
                _ => {
                    return Err(ChatError::field(
                        name,
                        "is not a field of a called function; expected `name` and `arguments`",
                    ));
                }
            }
        }
        for key in ["name", "arguments"] {
            if out.iter().all(|(name, _)| name != key) {
                return Err(ChatError::field(format!("{field}.{key}"), "is missing"));
            }
        }
        Ok(map(out))
    }

    fn call_arguments(&self, text: &str) -> Value {
        match Json::parse(text) {
            Ok(value @ Json::Object(_)) if self.arguments == Arguments::Parsed => self.value(&value),
            _ => self.text(text),
        }
    }
}

/// Refuses what is no function.
fn check_tool(field: &str, tool: &Json) -> Result<(), ChatError> {
    let Json::Object(entries) = tool else {
        return Err(expected(field, "an object with `type` and `function`", tool));
    };
    let mut function = None;
    let mut has_type = false;
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("type", Json::String(kind)) if kind == "function" => has_type = true,
            ("function", Json::Object(entries)) => function = Some(entries),
            ("type", _) => {
                return Err(ChatError::field(
                    format!("{field}.type"),
                    "must be `function`, the only type of tool that is known",
                ));
            }
            ("function", _) => return Err(expected(&format!("{field}.function"), "an object", value)),
            _ => {
                return Err(ChatError::field(
                    format!("{field}.{key}"),
                    "is not a field of a tool; expected `type` and `function`",
                ));
            }
        }
    }
    if !has_type {
        return Err(ChatError::field(format!("{field}.type"), "is missing; expected `function`"));
    }
    let function =
        function.ok_or_else(|| ChatError::field(format!("{field}.function"), "is missing; expected an object"))?;
    check_function(&format!("{field}.function"), function)
}

/// What templates rely on in a function; further keys are theirs to use.
fn check_function(field: &str, function: &[(String, Json)]) -> Result<(), ChatError> {
    let mut named = false;
    for (key, value) in function {
        let name = format!("{field}.{key}");
        match (key.as_str(), value) {
            ("name", Json::String(text)) if !text.is_empty() => named = true,
            ("name", _) => return Err(expected(&name, "a string that is not empty", value)),
            ("description", Json::String(_) | Json::Null) | ("parameters", Json::Object(_) | Json::Null) => {}
            ("description", _) => return Err(expected(&name, "a string", value)),
            ("parameters", _) => return Err(expected(&name, "a JSON schema, which is an object", value)),
            _ => {}
        }
    }
    if named {
        Ok(())
    } else {
        Err(ChatError::field(format!("{field}.name"), "is missing; expected the function's name"))
    }
}
