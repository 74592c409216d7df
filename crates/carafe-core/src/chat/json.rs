//! JSON text into a tree, the way Python's `json.loads` reads it: keys keep their order, the last
//! of two equal keys counts, and numbers are what their digits say.
//!
//! `serde_json` keeps neither order nor all digits without features that would change it for the
//! whole workspace. Unlike Python's reader this one refuses `NaN`, `Infinity` and halves of
//! surrogate pairs, and has limits, since the text comes from a client.

/// The deepest nesting of arrays and objects. Deeper ones would only exhaust the stack of
/// what walks them; schemas that people write stay below 20.
pub const MAX_JSON_DEPTH: usize = 64;
/// The longest JSON text, in bytes: more than any context holds, and little beside a guest's
/// memory.
pub const MAX_JSON_BYTES: usize = 4 << 20;
/// The most values in one JSON text. `[0,0,…` makes a value of two bytes, which takes about a
/// hundred in memory.
pub const MAX_JSON_VALUES: usize = 200_000;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    /// Keys are unique, in the order in which they first came.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that is one JSON value; the error says what is wrong and at which byte.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_JSON_BYTES {
            return Err(format!("the JSON text has {} bytes; at most {MAX_JSON_BYTES} are read", text.len()));
        }
        let mut reader = Reader { text, at: 0, values: 0 };
        let value = reader.value(0)?;
        reader.skip_whitespace();
        if reader.at < text.len() {
            return Err(reader.error("expected the end of the JSON text"));
        }
        Ok(value)
    }

    /// The word that messages use for this value's type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Whether it is null, false or empty: as a condition in a template it holds as little as
    /// nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::String(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Object(entries) => entries.is_empty(),
            Self::Bool(true) | Self::Integer(_) | Self::Float(_) => false,
        }
    }

    /// Calls `visit` with every string in the value, keys included.
    pub(super) fn for_each_string(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::String(text) => visit(text),
            Self::Array(items) => items.iter().for_each(|item| item.for_each_string(visit)),
            Self::Object(entries) => {
                for (key, value) in entries {
                    visit(key);
                    value.for_each_string(visit);
                }
            }
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) => {}
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> String {
        format!("{what} at byte {} of the JSON text", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(expected.as_bytes());
        if found {
            self.at += expected.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        self.skip_whitespace();
        self.values += 1;
        if self.values > MAX_JSON_VALUES {
            return Err(self.error(&format!("more than {MAX_JSON_VALUES} values")));
        }
        if depth > MAX_JSON_DEPTH {
            return Err(self.error(&format!("arrays and objects nested more than {MAX_JSON_DEPTH} deep")));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("null") => Ok(Json::Null),
            _ if self.take("true") => Ok(Json::Bool(true)),
            _ if self.take("false") => Ok(Json::Bool(false)),
            _ => Err(self.error("expected a JSON value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_whitespace();
        if self.take("]") {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_whitespace();
            if self.take("]") {
                return Ok(Json::Array(items));
            }
            if !self.take(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut entries = Entries::default();
        self.skip_whitespace();
        if self.take("}") {
            return Ok(Json::Object(entries.list));
        }
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_whitespace();
            if !self.take(":") {
                return Err(self.error("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            entries.set(key, value);
            self.skip_whitespace();
            if self.take("}") {
                return Ok(Json::Object(entries.list));
            }
            if !self.take(",") {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, String> {
        let start = self.at;
        self.take("-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.error("expected a digit")),
        }
        let mut integer = true;
        if self.take(".") {
            integer = false;
            self.some_digits()?;
        }
        if self.take("e") || self.take("E") {
            integer = false;
            let _sign = self.take("+") || self.take("-");
            self.some_digits()?;
        }
        let digits = &self.text[start..self.at];
        if integer {
            return digits.parse().map(Json::Integer).map_err(|_| self.error("a number of more than 38 digits"));
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Json::Float(value)),
            _ => Err(self.error("a number beyond those of 64 bits")),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), String> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error("an unescaped control character in a string")),
                None => return Err(self.error("a string without end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                self.at -= 2;
                return Err(self.error("an unknown escape in a string"));
            }
        })
    }

    /// What follows `\u`: four hexadecimal digits, or a surrogate pair of two such escapes.
    fn unicode_escape(&mut self) -> Result<char, String> {
        let high = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&high) && self.take("\\u") {
            let low = self.four_digits()?;
            0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00).min(0x10_0000)
        } else {
            high
        };
        char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair in a string"))
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.error("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

/// The entries of an object while it is read; equal keys are found by a map, since an object may
/// have very many keys.
#[derive(Default)]
struct Entries {
    list: Vec<(String, Json)>,
    places: std::collections::HashMap<String, usize>,
}

impl Entries {
    fn set(&mut self, key: String, value: Json) {
        if let Some(&place) = self.places.get(&key) {
            self.list[place].1 = value;
        } else {
            self.places.insert(key.clone(), self.list.len());
            self.list.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_order_digits_and_text() {
        let value = Json::parse(r#" {"b": [1, -2.5, 1e3, true, null], "a": "\u00e9\ud83d\ude00\n", "b": 7} "#);
        let expected = vec![("b".to_owned(), Json::Integer(7)), ("a".to_owned(), Json::String("é😀\n".to_owned()))];
        assert_eq!(value, Ok(Json::Object(expected)));
        assert_eq!(Json::parse("123456789012345678901234567890"), Ok(Json::Integer(123456789012345678901234567890)));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for bad in [
            "",
            "[1,]",
            "{\"a\" 1}",
            "01",
            "1.",
            "nul",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"a",
            "[1] 2",
            "1e999",
            "NaN",
            "\"\n\"",
        ] {
            let error = Json::parse(bad).expect_err(bad);
            assert!(error.contains("byte"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(MAX_JSON_DEPTH)).is_ok());
        assert!(Json::parse(&nested(100_000)).is_err_and(|error| error.contains("deep")));
        let many = format!("[{}0]", "0,".repeat(MAX_JSON_VALUES));
        assert!(Json::parse(&many).is_err_and(|error| error.contains("values")));
    }
}
