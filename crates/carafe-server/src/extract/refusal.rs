//! Why a value cannot be read, in the words of the API: the types of JSON, the field's path, what
//! was expected and what came instead.
//!
//! Serde gives its readers' errors as the facts of [`serde::de::Error`], and names types as Rust
//! does. Both become words here.

use std::fmt::{self, Display};

use serde::de::{Error, Expected, Unexpected};

use super::syntax;
use crate::error::ApiError;
use crate::quote::{self, quoted};

/// A value that was refused, and where it stands.
#[derive(Debug)]
pub(super) struct Refusal {
    /// From the inside out.
    path: Vec<Segment>,
    fault: Fault,
}

/// One step of the way to a value.
#[derive(Debug)]
pub(super) enum Segment {
    /// A field of an object.
    Key(String),
    /// An item of an array.
    Index(usize),
}

#[derive(Debug)]
enum Fault {
    /// No value at all; in the parser's own words.
    Syntax(String),
    /// Another type or value than expected.
    Value {
        expected: String,
        got: String,
    },
    /// A value that its own reader refuses, in words.
    Other(String),
    Unknown {
        known: &'static [&'static str],
    },
    Missing,
    Twice,
}

impl Refusal {
    /// What the parser says of a text that it cannot read.
    pub(super) fn syntax(message: impl Display) -> Self {
        Fault::Syntax(message.to_string()).into()
    }

    /// A key that an object has twice.
    pub(super) fn twice(key: &str) -> Self {
        Self::from(Fault::Twice).inside(Segment::Key(key.to_owned()))
    }

    /// The same, of a value inside another.
    pub(super) fn inside(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// The error of a request; `whole` is what was read, and `field` what its parts are called.
    pub(super) fn into_error(self, whole: &str, field: &str) -> ApiError {
        let (path, location) = (self.path(), self.location(whole));
        let (message, code) = match self.fault {
            Fault::Syntax(message) => {
                return ApiError::malformed(format!("{whole} is not valid JSON: {}", syntax::words(&message)));
            }
            Fault::Value { expected, got } => (format!("{location} must be {expected}, got {got}"), None),
            Fault::Other(message) => (other(&location, &message), None),
            Fault::Missing => (format!("{location} is missing"), None),
            Fault::Twice => (format!("{location} is given twice; give it once"), None),
            Fault::Unknown { known } => {
                (format!("{location} is no {field}; there are: {}", listed(known, ", ")), Some("unknown_field"))
            }
        };
        ApiError::Invalid { param: (!path.is_empty()).then(|| quote::name(&path)), code, message }
    }

    /// As `stream_options.include_usage` or `prompt[2]`.
    fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Key(key) if path.is_empty() => path.push_str(key),
                Segment::Key(key) => path.extend([".", key]),
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn location(&self, whole: &str) -> String {
        let path = self.path();
        if path.is_empty() { whole.to_owned() } else { quoted(&path) }
    }
}

/// What a reader of our own says: either what it expects, or a whole sentence.
fn other(location: &str, message: &str) -> String {
    let message = quote::message(message);
    match message.strip_prefix("expected ") {
        Some(expected) => format!("{location} must be {expected}"),
        None => format!("{location} is not as it must be: {message}"),
    }
}

/// Names of the API between backticks.
fn listed(names: &[&str], separator: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(separator)
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { path: Vec::new(), fault }
    }
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not as it must be", self.location("the value"))
    }
}

impl std::error::Error for Refusal {}

impl Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Fault::Other(message.to_string()).into()
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::Value { expected: expectation(&expected.to_string()), got: description(got) }.into()
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(got, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Fault::Value { expected: expectation(&expected.to_string()), got: format!("{length} items") }.into()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Fault::Value { expected: listed(known, " or "), got: quoted(variant) }.into()
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::from(Fault::Unknown { known }).inside(Segment::Key(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::from(Fault::Missing).inside(Segment::Key(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::twice(field)
    }
}

/// What was sent.
fn description(got: Unexpected<'_>) -> String {
    match got {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        // Not as `Display` writes it: with hundreds of zeros.
        Unexpected::Float(value) => format!("the number {value:?}"),
        Unexpected::Char(value) => format!("the text {}", quoted(&value.to_string())),
        Unexpected::Str("") => "an empty text".to_owned(),
        Unexpected::Str(value) => format!("the text {}", quoted(value)),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        _ => "another kind of value".to_owned(),
    }
}

/// What a reader wants: serde's own readers name Rust's types, those of this crate speak already as
/// the API does.
fn expectation(rust: &str) -> String {
    match rust.strip_prefix("a nonzero ").unwrap_or(rust) {
        "u8" => whole_number(u8::MAX.into()),
        "u16" => whole_number(u16::MAX.into()),
        "u32" => whole_number(u32::MAX.into()),
        "u64" | "usize" => whole_number(u64::MAX),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "a borrowed string" | "a character" | "string or map" => "a text".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        name if name.starts_with("struct ") => "an object".to_owned(),
        words => words.strip_prefix("expected ").unwrap_or(words).to_owned(),
    }
}

fn whole_number(most: u64) -> String {
    format!("a whole number from 0 to {most}")
}
