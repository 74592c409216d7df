//! How Python writes values: `str`, `repr`, and `json.dumps`, over strings with marks.
//!
//! What these write beside the strings' own characters (brackets, quotes, escapes) is marked like a
//! client's text, so that it is no part of a control token either.

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::engine::{charge, marks};
use super::filters::Group;
use super::marks::Marks;

/// The deepest nesting that is written. What clients send is bounded before; templates nest little.
pub(super) const MAX_DEPTH: usize = 100;

/// Python's `str(value)`.
pub(super) fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => {
            charge(state, text.len())?;
            Ok(text.to_owned())
        }
        None => written(state, value, &Style::repr()),
    }
}

/// Python's `json.dumps(value)`, in a style that [`Style::json`] begins with.
pub(super) fn json(state: &State<'_, '_>, value: &Value, style: &Style) -> Result<String, Error> {
    written(state, value, style)
}

/// The items of a value as Python's `str` writes them.
pub(super) fn texts(state: &State<'_, '_>, items: &Value) -> Result<Vec<String>, Error> {
    items.try_iter()?.map(|item| text(state, &item)).collect()
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

/// The error of a value that is nested deeper.
pub(super) fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a value is nested more than {MAX_DEPTH} deep"))
}

fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    value.try_iter()?.map(|key| value.get_item(&key).map(|item| (key, item))).collect()
}

/// Python's `str.isprintable`, without the code points that no version of Unicode has assigned.
pub(super) fn is_printable(c: char) -> bool {
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

/// How values are written.
pub(super) struct Style {
    notation: Notation,
    /// What a level is indented with; none writes everything into one line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Notation {
    /// Python's own.
    Repr,
    /// JSON, perhaps without characters beyond ASCII.
    Json { ensure_ascii: bool },
}

impl Style {
    fn repr() -> Self {
        let (item_separator, key_separator) = (", ".to_owned(), ": ".to_owned());
        Self { notation: Notation::Repr, indent: None, item_separator, key_separator, sort_keys: false }
    }

    /// JSON as `json.dumps` writes it without further arguments.
    pub(super) fn json(ensure_ascii: bool) -> Self {
        Self { notation: Notation::Json { ensure_ascii }, ..Self::repr() }
    }
}

fn written(state: &State<'_, '_>, value: &Value, style: &Style) -> Result<String, Error> {
    let mut writer = Writer { state, marks: marks(state)?, style, out: String::new() };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    marks: Arc<Marks>,
    style: &'a Style,
    out: String,
}

impl Writer<'_> {
    fn made(&mut self, text: &str) {
        self.out.push_str(&self.marks.strict_text(text));
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        // Every value is paid for while it is written: a list of few lists may be long written out.
        charge(self.state, value.as_str().map_or(0, str::len).saturating_mul(4))?;
        match (value.kind(), self.style.notation) {
            (ValueKind::String, _) => self.string(value.as_str().unwrap_or_default()),
            (ValueKind::Map, _) => self.map(value, depth)?,
            (ValueKind::Seq | ValueKind::Iterable, _) => self.list(value, depth)?,
            (ValueKind::Number, notation) => self.made(match (number(value)?.as_str(), notation) {
                ("nan", Notation::Json { .. }) => "NaN",
                ("inf", Notation::Json { .. }) => "Infinity",
                ("-inf", Notation::Json { .. }) => "-Infinity",
                (text, _) => text,
            }),
            (ValueKind::None, Notation::Json { .. }) => self.made("null"),
            (ValueKind::Bool, Notation::Json { .. }) => self.made(if value.is_true() { "true" } else { "false" }),
            (kind, Notation::Json { .. }) => {
                return Err(Error::new(ErrorKind::BadSerialization, format!("{kind} is not JSON serializable")));
            }
            (_, Notation::Repr) => self.made(&value.to_string()),
        }
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
            self.key(&key, depth + 1)?;
            self.made(&self.style.key_separator);
            self.value(&item, depth + 1)?;
        }
        self.close(any, depth, "}");
        Ok(())
    }

    /// In JSON keys are strings; numbers, booleans and none become such.
    fn key(&mut self, key: &Value, depth: usize) -> Result<(), Error> {
        if key.kind() == ValueKind::String || self.style.notation == Notation::Repr {
            return self.value(key, depth);
        }
        self.made("\"");
        self.value(key, MAX_DEPTH)?;
        self.made("\"");
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let is_tuple = self.style.notation == Notation::Repr && is_tuple(value);
        let (open, close) = if is_tuple { ("(", ")") } else { ("[", "]") };
        self.made(open);
        let mut count = 0;
        for item in value.try_iter()? {
            self.separate(count, depth + 1);
            self.value(&item, depth + 1)?;
            count += 1;
        }
        if is_tuple && count == 1 {
            self.made(",");
        }
        self.close(count > 0, depth, close);
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
        let plain = |quote: char| text.chars().any(|c| self.marks.plain(c) == quote);
        let single = self.style.notation == Notation::Repr && (plain('"') || !plain('\''));
        let quote = if single { '\'' } else { '"' };
        self.made(quote.encode_utf8(&mut [0; 4]));
        for c in text.chars() {
            match (self.marks.plain(c), self.style.notation) {
                ('\n', _) => self.made("\\n"),
                ('\r', _) => self.made("\\r"),
                ('\t', _) => self.made("\\t"),
                ('\\', _) => self.made("\\\\"),
                (plain, Notation::Repr) if plain == quote => {
                    self.made("\\");
                    self.out.push(c);
                }
                (plain, Notation::Repr) if !is_printable(plain) => self.made(&escape(plain)),
                ('"', Notation::Json { .. }) => self.made("\\\""),
                (plain, Notation::Json { ensure_ascii }) if plain < ' ' || (ensure_ascii && plain > '~') => {
                    self.json_escape(plain);
                }
                _ => self.out.push(c),
            }
        }
        self.made(quote.encode_utf8(&mut [0; 4]));
    }

    fn json_escape(&mut self, c: char) {
        match c {
            '\u{8}' => self.made("\\b"),
            '\u{c}' => self.made("\\f"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.made(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// Groups of `groupby` are named tuples.
fn is_tuple(value: &Value) -> bool {
    value.is_tuple() || value.downcast_object_ref::<Group>().is_some()
}
