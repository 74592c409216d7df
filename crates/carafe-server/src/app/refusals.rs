//! What is said of bodies and queries that cannot be read.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::known_fields;
use crate::chat::ChatRequest;
use crate::classify::ClassifyParameters;
use crate::completions::CompletionRequest;
use crate::error::ApiError;
use crate::extract::{json, query};
use crate::infer::InferParameters;
use crate::openai::{Body, Checked, field_names};

/// Words of Rust, of serde and of its parsers, which mean nothing to a client.
const RUST: [&str; 24] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "i32",
    "i64",
    "f32",
    "f64",
    "struct",
    "enum",
    "variant",
    "untagged",
    "sequence",
    "a map",
    "boolean",
    "integer",
    "floating",
    "EOF",
    "ident",
    "invalid type",
    "invalid value",
    "missing field",
    "unknown field",
];

/// Values of every type of JSON, some of them extreme.
const VALUES: [&str; 22] = [
    "null",
    "true",
    "5",
    "-5",
    "1.5",
    "1e300",
    "18446744073709551616",
    "-9223372036854775809",
    "4294967296",
    "\"text\"",
    "\"\"",
    "\"\\u0000\\u202e\"",
    "[]",
    "[1]",
    "[1.5]",
    "[\"a\"]",
    "[[1]]",
    "[[\"a\"]]",
    "[1, \"a\"]",
    "{}",
    "{\"a\": 1}",
    "{\"a\": {\"a\": [null]}}",
];

/// The message, the parameter and the code of what is said of a body; none if it can be read.
fn refusal_of(body: &str) -> Option<(String, Option<String>, Option<&'static str>)> {
    said_of(json::<Checked<CompletionRequest>>(body.as_bytes()).err()?)
}

fn query_refusal<T: DeserializeOwned>(text: &str) -> Option<(String, Option<String>, Option<&'static str>)> {
    said_of(query::<T>(text).err()?)
}

fn said_of(error: ApiError) -> Option<(String, Option<String>, Option<&'static str>)> {
    let ApiError::Invalid { param, code, message } = error else { return None };
    for word in RUST {
        assert!(
            !message.split(|letter: char| !letter.is_alphanumeric() && letter != ' ').any(|part| part.contains(word)),
            "`{word}` in: {message}"
        );
    }
    assert!(message.len() < 1000 && !message.contains(char::is_control), "{message}");
    Some((message, param, code))
}

fn message_of(body: &str) -> String {
    refusal_of(body).map(|(message, ..)| message).unwrap_or_default()
}

/// The names of a body's fields, each of which has one meaning, is described, and may be null.
fn check_fields<T: Body>() {
    let document = include_str!("../../../../docs/http-api.md");
    let names: BTreeSet<&str> = field_names::<T>().collect();
    assert_eq!(names.len(), field_names::<T>().count(), "no field is known twice");
    for name in names {
        assert!(document.contains(&format!("`{name}`")), "the document does not name `{name}`");
        let body = json::<Checked<T>>(format!("{{\"{name}\": null}}").as_bytes()).expect(name);
        assert!(body.supported().is_ok(), "{name}");
    }
}

#[test]
fn every_field_is_known_once_and_described_and_null_asks_for_nothing() {
    check_fields::<CompletionRequest>();
    check_fields::<ChatRequest>();
}

#[test]
fn every_field_with_a_value_of_every_type_is_taken_or_refused_by_its_name_in_words_of_the_api() {
    let mut refused = 0;
    for field in field_names::<CompletionRequest>() {
        for value in VALUES {
            let model = if field == "model" { "" } else { "\"model\": \"tiny\", " };
            let Some((message, param, _)) = refusal_of(&format!("{{{model}\"{field}\": {value}}}")) else { continue };
            let param = param.unwrap_or_default();
            let inside = [format!("{field}."), format!("{field}[")];
            assert!(
                param == field || inside.iter().any(|inside| param.starts_with(inside)),
                "{field}: {value}: {param}"
            );
            assert!(message.starts_with(&format!("`{param}` ")), "{field}: {value}: {message}");
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn the_fields_of_a_chat_are_taken_or_refused_by_their_names_as_well() {
    let mut refused = 0;
    for field in field_names::<ChatRequest>() {
        for value in VALUES {
            let body = format!("{{\"{field}\": {value}}}");
            let Some((message, param, _)) = json::<Checked<ChatRequest>>(body.as_bytes()).err().and_then(said_of)
            else {
                continue;
            };
            let param = param.unwrap_or_default();
            assert!(param.split(['.', '[']).next() == Some(field), "{field}: {value}: {param}");
            assert!(message.starts_with(&format!("`{param}` ")), "{field}: {value}: {message}");
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn a_value_of_the_wrong_type_is_told_what_it_is_and_what_it_must_be() {
    let cases = [
        (r#"{"n": "2"}"#, "`n` must be a whole number from 0 to 4294967295, got the text `2`"),
        (r#"{"n": -1}"#, "`n` must be a whole number from 0 to 4294967295, got the number -1"),
        (r#"{"n": 1e300}"#, "`n` must be a whole number from 0 to 4294967295, got the number 1e300"),
        (r#"{"stream": "yes"}"#, "`stream` must be `true` or `false`, got the text `yes`"),
        (r#"{"temperature": []}"#, "`temperature` must be a number, got an array"),
        (r#"{"suffix": {}}"#, "`suffix` must be a text, got an object"),
        (r#"{"logit_bias": {"5": true}}"#, "`logit_bias.5` must be a number, got `true`"),
        (r#"{"logit_bias": [1]}"#, "`logit_bias` must be an object, got an array"),
        (r#"{"stream_options": [true]}"#, "`stream_options` must be an object, got an array"),
        (r#"{"stop": 5}"#, "`stop` must be a text or an array of up to 4 texts, got the number 5"),
        (r#"{"stop": ["a", "b", "c", "d", "e"]}"#, "`stop` must be a text or an array of up to 4 texts"),
        (r#"["tiny", "a"]"#, "the body must be an object, got an array"),
        ("5", "the body must be an object, got the number 5"),
        ("\"text\"", "the body must be an object, got the text `text`"),
    ];
    for (body, expected) in cases {
        assert_eq!(message_of(body), expected, "{body}");
    }
}

#[test]
fn what_is_given_twice_is_refused_wherever_it_stands() {
    let cases = [
        (r#"{"model": "a", "model": "a"}"#, "model"),
        (r#"{"model": "a", "n": 1, "prompt": "b", "n": 1}"#, "n"),
        (r#"{"model": "a", "logit_bias": {"5": 1, "6": 1, "5": 1}}"#, "logit_bias.5"),
        (
            r#"{"model": "a", "stream_options": {"include_usage": true, "include_usage": true}}"#,
            "stream_options.include_usage",
        ),
        (r#"{"model": "a", "metadata": {"x": 1, "x": 1}}"#, "metadata.x"),
        (r#"{"store": false, "store": false}"#, "store"),
    ];
    for (body, param) in cases {
        let expected = (format!("`{param}` is given twice; give it once"), Some(param.to_owned()), None);
        assert_eq!(refusal_of(body), Some(expected), "{body}");
    }
    let twice = Some(("`top` is given twice; give it once".to_owned(), Some("top".to_owned()), None));
    assert_eq!(query_refusal::<ClassifyParameters>("top=1&top=1"), twice);
    assert_eq!(query_refusal::<InferParameters>("top=1&model=a&top=2"), twice);
}

#[test]
fn short_entries_are_refused_while_they_are_read_where_they_are_too_many() {
    let texts = |count: usize| format!("{{\"prompt\": [{}\"\"]}}", "\"\",".repeat(count - 1));
    let lists = |count: usize| format!("{{\"prompt\": [{}[]]}}", "[],".repeat(count - 1));
    for prompts in [texts, lists] {
        assert_eq!(refusal_of(&prompts(1024)), None);
        assert_eq!(message_of(&prompts(1025)), "`prompt` must be at most 1024 prompts");
    }
    let keys = |count: usize| (0..count).map(|key| format!("\"{key}\": 0")).collect::<Vec<_>>().join(",");
    for field in ["logit_bias", "metadata"] {
        assert_eq!(refusal_of(&format!("{{\"{field}\": {{{}}}}}", keys(4096))), None);
        let refused = message_of(&format!("{{\"{field}\": {{{}}}}}", keys(4097)));
        assert_eq!(refused, format!("`{field}` must be an object of at most 4096 fields"));
    }
}

#[test]
fn an_unknown_field_is_shown_by_its_beginning() {
    let long = "x".repeat(4 << 20);
    for body in [format!("{{\"{long}\": 1}}"), format!("{{\"stream_options\": {{\"{long}\": 1}}}}")] {
        let (message, param, code) = refusal_of(&body).expect("a refusal");
        assert!(message.contains("x… ") || message.contains("x…`"), "{message}");
        assert!(message.contains("bytes) is no field; there are: `"), "{message}");
        assert!(param.is_some_and(|param| param.len() < 100));
        assert_eq!(code, Some("unknown_field"));
    }
    let (message, param, _) = refusal_of("{\"promt\": \"a\"}").expect("a refusal");
    assert!(message.starts_with("`promt` is no field; there are: `model`, `prompt`, "), "{message}");
    assert_eq!(param.as_deref(), Some("promt"));
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let deep = format!("{{\"metadata\": {}", "[".repeat(5000));
    let cases = [
        ("", "there is nothing where a value was expected (line 1, column 0)"),
        ("{", "it ends too early (line 1, column 1)"),
        ("{\"n\": ", "there is nothing where a value was expected (line 1, column 6)"),
        ("{\"n\" 1}", "a `:` is missing after a name (line 1, column 6)"),
        ("{\"n\": 1 \"seed\": 1}", "a `,` or `}` is missing in an object (line 1, column 9)"),
        ("{\"prompt\": [1 2]}", "a `,` or `]` is missing in an array (line 1, column 15)"),
        ("{\"n\": 1,}", "a `,` stands before the end of an array or object (line 1, column 9)"),
        ("{n: 1}", "the name of a field must be a text between `\"` (line 1, column 2)"),
        ("{\"temperature\": NaN}", "here stands something that begins no value (line 1, column 17)"),
        ("{\"temperature\": 1e999}", "this number is too large (line 1, column 21)"),
        ("{\"n\": 01}", "this is no number of JSON (line 1, column 8)"),
        ("{\"stream\": trye}", "this word is none of `true`, `false` and `null` (line 1, column 14)"),
        (
            "{\"user\": \"\\ud800\"}",
            "an escape is half of a character: `\\ud800` to `\\udfff` go in pairs only (line 1, column 17)",
        ),
        ("{\"user\": \"\\x\"}", "there is no such escape in a text (line 1, column 12)"),
        (
            "{\"user\": \"a\nb\"}",
            "a text holds a control character, which must be escaped as in `\\n` or `\\u0007` (line 2, column 0)",
        ),
        (&deep, "it is nested too deeply: at most 127 arrays and objects may lie in one another (line 1, column 140)"),
        ("{\"model\": \"a\"} {}", "something follows after its end (line 1, column 16)"),
    ];
    for (body, expected) in cases {
        assert_eq!(message_of(body), format!("the body is not valid JSON: {expected}"), "{body}");
    }
    let bytes = json::<Checked<CompletionRequest>>(b"{\"user\": \"\xff\"}").err().and_then(said_of).expect("a refusal");
    assert_eq!(bytes.0, "the body is not valid JSON: a text is not valid UTF-8 (line 1, column 11)");
}

#[test]
fn a_query_is_refused_in_the_same_words() {
    let number = "a whole number from 0 to 4294967295";
    for (text, expected) in [
        ("top=many", format!("`top` must be {number}, got the text `many`")),
        ("top=-1", format!("`top` must be {number}, got the text `-1`")),
        ("top=1.5", format!("`top` must be {number}, got the text `1.5`")),
        ("top=", format!("`top` must be {number}, got an empty text")),
        ("top=99999999999", format!("`top` must be {number}, got the number 99999999999")),
        ("input=yes", "`input` must be `true` or `false`, got the text `yes`".to_owned()),
        ("tpo=1", "`tpo` is no parameter; there are: `model`, `top`, `input`".to_owned()),
    ] {
        assert_eq!(query_refusal::<ClassifyParameters>(text).map(|(message, ..)| message), Some(expected), "{text}");
    }
    assert!(query::<ClassifyParameters>("model=5&top=3&input=true").is_ok(), "a name may look like a number");
}

#[test]
fn a_field_is_known_by_the_beginning_of_its_path_and_no_other_name_is() {
    for (path, field) in
        [("top_p", "top_p"), ("stop[2]", "stop"), ("logit_bias.a secret", "logit_bias"), ("top", "top")]
    {
        assert_eq!(known_fields().find(path), Some(field));
    }
    for path in ["", "a secret", "a secret.top_p", "top_p2"] {
        assert_eq!(known_fields().find(path), None, "{path}");
    }
}
