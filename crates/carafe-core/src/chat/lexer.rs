//! A template's source, cut into tokens.
//!
//! The engine has a lexer of its own, which it keeps to itself. What this one finds is used to read
//! a source and to rewrite it, before the engine compiles it.

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    /// Text between tags.
    Data(&'a str),
    /// The beginning of a tag: `{{` or `{%`; a `-` or `+` behind it is no token.
    Open,
    /// The end of a tag, with its `-` or `+`.
    Close,
    /// A string constant, its escapes resolved.
    Constant(String),
    /// A word: a name, a keyword or a number.
    Word(&'a str),
    /// An operator or bracket.
    Sign(&'a str),
}

/// A token and its bytes in the source.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts a template's source into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let tag = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min().unwrap_or(rest.len());
            self.push(Kind::Data(&rest[..tag]), tag);
            match rest.get(tag..tag + 2) {
                Some("{#") => self.at += rest[tag..].find("#}").map_or(rest.len() - tag, |end| end + 2),
                Some("{%") if self.raw_block() => {}
                Some(open) => self.tag(if open == "{{" { "}}" } else { "%}" }),
                None => {}
            }
        }
    }

    fn push(&mut self, kind: Kind<'a>, length: usize) {
        if length > 0 {
            self.tokens.push(Token { kind, start: self.at, end: self.at + length });
        }
        self.at += length;
    }

    /// Reads `{% raw %}…{% endraw %}` as data.
    fn raw_block(&mut self) -> bool {
        let tag_end = |from: usize, word: &str| {
            let inside = self.text[from..].strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start();
            let behind = inside.strip_prefix(word)?.trim_start().trim_start_matches(['-', '+']).strip_prefix("%}")?;
            Some(self.text.len() - behind.len())
        };
        let Some(begin) = tag_end(self.at, "raw") else {
            return false;
        };
        let ends = self.text[begin..].match_indices("{%").map(|(offset, _)| begin + offset);
        let Some((end, behind)) = ends.filter_map(|end| Some((end, tag_end(end, "endraw")?))).next() else {
            return false;
        };
        self.at = begin;
        self.push(Kind::Data(&self.text[begin..end]), end - begin);
        self.at = behind;
        true
    }

    fn tag(&mut self, close: &str) {
        self.push(Kind::Open, 2);
        if self.text[self.at..].starts_with(['-', '+']) {
            self.at += 1;
        }
        // `}}` may also end two dictionaries; only outside of brackets does it end the tag.
        let mut depth = 0_usize;
        while let Some(c) = self.text[self.at..].chars().next() {
            let rest = &self.text[self.at..];
            let dash = usize::from(rest.starts_with(['-', '+']));
            if depth == 0 && rest[dash..].starts_with(close) {
                return self.push(Kind::Close, dash + 2);
            }
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.expression_token(c, rest);
        }
    }

    fn expression_token(&mut self, c: char, rest: &'a str) {
        if c.is_whitespace() {
            self.at += c.len_utf8();
        } else if c == '"' || c == '\'' {
            let (constant, length) = string_constant(rest, c);
            self.push(Kind::Constant(constant), length);
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Kind::Word(&rest[..length]), length);
        } else {
            let double = ["==", "!=", "<=", ">=", "//", "**"].iter().any(|sign| rest.starts_with(sign));
            let length = if double { 2 } else { c.len_utf8() };
            self.push(Kind::Sign(&rest[..length]), length);
        }
    }
}

/// A string constant at the beginning of `rest`, its escapes resolved, and its length in the
/// source.
fn string_constant(rest: &str, quote: char) -> (String, usize) {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| escaped(c, &mut chars)).into_iter().flatten()),
            _ if c == quote => return (value, at + 1),
            _ => value.push(c),
        }
    }
    (value, rest.len())
}

fn escaped(c: char, chars: &mut (impl Iterator<Item = (usize, char)> + Clone)) -> Option<char> {
    let mut digits = |count: usize, radix: u32, first: Option<char>| {
        let mut text: String = first.into_iter().collect();
        while text.len() < count {
            match chars.clone().next() {
                Some((_, c)) if c.is_digit(radix) => text.extend(chars.next().map(|(_, c)| c)),
                _ => break,
            }
        }
        u32::from_str_radix(&text, radix).ok().and_then(char::from_u32)
    };
    match c {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'x' => digits(2, 16, None),
        'u' => digits(4, 16, None),
        'U' => digits(8, 16, None),
        '0'..='7' => digits(3, 8, Some(c)),
        _ => Some(c),
    }
}
