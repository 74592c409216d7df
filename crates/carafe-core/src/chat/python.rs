//! How Python writes values: `str`, `repr`, and `json.dumps`, over strings with marks.
//!
//! What these write beside the strings' own characters (brackets, quotes, escapes) is marked like a
//! client's text, so that it is no part of a control token either.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::marks::Marks;

/// The deepest nesting that is written. What clients send is bounded before; templates nest little.
const MAX_DEPTH: usize = 100;

/// Python's `str(value)`.
pub(super) fn text(value: &Value, marks: &Marks) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    Repr { marks, out: &mut out }.value(value, 0)?;
    Ok(out)
}

/// Python's `str(float)`: the shortest digits that give the number back.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn is_float(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

fn number(value: &Value) -> Result<String, Error> {
    if is_float(value) { f64::try_from(value.clone()).map(float) } else { Ok(value.to_string()) }
}

fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a value is nested more than {MAX_DEPTH} deep"))
}

fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    value.try_iter()?.map(|key| value.get_item(&key).map(|item| (key, item))).collect()
}

/// Python's `str.isprintable`, without the code points that no version of Unicode has assigned.
fn is_printable(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format || is_private)
}

fn escape(c: char) -> String {
    match u32::from(c) {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

struct Repr<'a> {
    marks: &'a Marks,
    out: &'a mut String,
}

impl Repr<'_> {
    fn made(&mut self, text: &str) {
        self.out.push_str(&self.marks.strict_text(text));
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        match value.kind() {
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Number => self.made(&number(value)?),
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            _ => self.made(&value.to_string()),
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.made("{");
        for (at, (key, item)) in pairs(value)?.into_iter().enumerate() {
            if at > 0 {
                self.made(", ");
            }
            self.value(&key, depth + 1)?;
            self.made(": ");
            self.value(&item, depth + 1)?;
        }
        self.made("}");
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let (open, close) = if value.is_tuple() { ("(", ")") } else { ("[", "]") };
        self.made(open);
        for (at, item) in value.try_iter()?.enumerate() {
            if at > 0 {
                self.made(", ");
            }
            self.value(&item, depth + 1)?;
        }
        if value.is_tuple() && value.len() == Some(1) {
            self.made(",");
        }
        self.made(close);
        Ok(())
    }

    fn string(&mut self, text: &str) {
        let plain = |quote: char| text.chars().any(|c| self.marks.plain(c) == quote);
        let quote = if plain('\'') && !plain('"') { '"' } else { '\'' };
        self.made(quote.encode_utf8(&mut [0; 4]));
        for c in text.chars() {
            match self.marks.plain(c) {
                '\n' => self.made("\\n"),
                '\r' => self.made("\\r"),
                '\t' => self.made("\\t"),
                '\\' => self.made("\\\\"),
                plain if plain == quote => {
                    self.made("\\");
                    self.out.push(c);
                }
                plain if !is_printable(plain) => self.made(&escape(plain)),
                _ => self.out.push(c),
            }
        }
        self.made(quote.encode_utf8(&mut [0; 4]));
    }
}

/// The keyword arguments of `json.dumps` that transformers' `tojson` has.
pub(super) struct JsonStyle {
    pub(super) ensure_ascii: bool,
    /// What a level is indented with; none writes everything into one line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

/// Python's `json.dumps(value)`.
pub(super) fn json(value: &Value, style: &JsonStyle, marks: &Marks) -> Result<String, Error> {
    let mut out = String::new();
    Dump { marks, style, out: &mut out }.value(value, 0)?;
    Ok(out)
}

struct Dump<'a> {
    marks: &'a Marks,
    style: &'a JsonStyle,
    out: &'a mut String,
}

impl Dump<'_> {
    fn made(&mut self, text: &str) {
        self.out.push_str(&self.marks.strict_text(text));
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        match value.kind() {
            ValueKind::None => self.made("null"),
            ValueKind::Bool => self.made(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            kind => return Err(Error::new(ErrorKind::BadSerialization, format!("{kind} is not JSON serializable"))),
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        let text = number(value)?;
        let text = match text.as_str() {
            "nan" => "NaN",
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            text => text,
        };
        self.made(text);
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut entries = pairs(value)?;
        if self.style.sort_keys {
            entries.sort_by_key(|(key, _)| self.marks.plain_text(key.as_str().unwrap_or_default()));
        }
        self.made("{");
        let any = !entries.is_empty();
        for (at, (key, item)) in entries.into_iter().enumerate() {
            self.separate(at, depth + 1);
            self.key(&key)?;
            self.made(&self.style.key_separator);
            self.value(&item, depth + 1)?;
        }
        self.close(any, depth, "}");
        Ok(())
    }

    /// Keys are strings; numbers, booleans and none become such.
    fn key(&mut self, key: &Value) -> Result<(), Error> {
        if let Some(text) = key.as_str() {
            self.string(text);
            return Ok(());
        }
        self.made("\"");
        self.value(key, MAX_DEPTH)?;
        self.made("\"");
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.made("[");
        let mut any = false;
        for (at, item) in value.try_iter()?.enumerate() {
            any = true;
            self.separate(at, depth + 1);
            self.value(&item, depth + 1)?;
        }
        self.close(any, depth, "]");
        Ok(())
    }

    fn separate(&mut self, at: usize, depth: usize) {
        if at > 0 {
            self.made(&self.style.item_separator);
        }
        self.line(depth);
    }

    fn close(&mut self, any: bool, depth: usize, bracket: &str) {
        if any {
            self.line(depth);
        }
        self.made(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.style.indent {
            self.made(&format!("\n{}", indent.repeat(depth)));
        }
    }

    fn string(&mut self, text: &str) {
        self.made("\"");
        for c in text.chars() {
            match self.marks.plain(c) {
                '"' => self.made("\\\""),
                '\\' => self.made("\\\\"),
                '\n' => self.made("\\n"),
                '\r' => self.made("\\r"),
                '\t' => self.made("\\t"),
                '\u{8}' => self.made("\\b"),
                '\u{c}' => self.made("\\f"),
                plain if plain < ' ' => self.made(&format!("\\u{:04x}", u32::from(plain))),
                plain if self.style.ensure_ascii && (plain > '~') => {
                    for unit in plain.encode_utf16(&mut [0; 2]) {
                        self.made(&format!("\\u{unit:04x}"));
                    }
                }
                _ => self.out.push(c),
            }
        }
        self.made("\"");
    }
}
