//! What a template's source says before it is run: which texts the template writes by itself
//! ([`Source::fragments`]), and what it does with a message's content.

use super::lexer::{Kind, Token, tokens};
use super::messages::ROLES;

/// A template's source, cut into tokens. Where the source is no template, the tokens are whatever
/// they are: the engine refuses it.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token<'a>>,
}

impl<'a> Source<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        Self { text, tokens: tokens(text) }
    }

    fn word(&self, at: usize) -> Option<&'a str> {
        match self.tokens.get(at)?.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn sign(&self, at: usize) -> Option<&'a str> {
        match self.tokens.get(at)?.kind {
            Kind::Sign(sign) => Some(sign),
            _ => None,
        }
    }

    fn constant(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.kind {
            Kind::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the template has a word, as a name or keyword.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.kind == Kind::Word(word))
    }

    /// Whether the template has an operator.
    pub(super) fn has_sign(&self, sign: &str) -> bool {
        self.tokens.iter().any(|token| token.kind == Kind::Sign(sign))
    }

    /// Whether the template goes through the parts of a content: `for … in message.content`, or in
    /// a variable called `content`.
    pub(super) fn iterates_content(&self) -> bool {
        (0..self.tokens.len()).any(|at| {
            self.word(at) == Some("for")
                && (at + 1..at + 6).find(|&i| self.word(i) == Some("in")).is_some_and(|i| self.chain_is_content(i + 1))
        })
    }

    /// Whether the template asks if a content is none.
    pub(super) fn asks_for_null_content(&self) -> bool {
        (0..self.tokens.len()).any(|at| {
            let content = self.word(at) == Some("content") || self.constant(at) == Some("content");
            let after = at + 1 + usize::from(self.sign(at + 1) == Some("]"));
            let negated = usize::from(self.word(after + 1) == Some("not"));
            content
                && (self.word(after) == Some("is") || matches!(self.sign(after), Some("==" | "!=")))
                && matches!(self.word(after + 1 + negated), Some("none" | "None"))
        })
    }

    fn chain_is_content(&self, start: usize) -> bool {
        let last = self.chain_end(start).unwrap_or(start).saturating_sub(1);
        let last = if self.sign(last) == Some("]") { last - 1 } else { last };
        self.word(last) == Some("content") || self.constant(last) == Some("content")
    }

    /// The end of a name with the attributes, items and calls behind it: `a.b['c'](d)`.
    pub(super) fn chain_end(&self, start: usize) -> Option<usize> {
        self.word(start)?;
        let mut at = start + 1;
        loop {
            match self.sign(at) {
                Some(".") if self.word(at + 1).is_some() => at += 2,
                Some("[" | "(") => at = self.bracket_end(at)?,
                _ => return Some(at),
            }
        }
    }

    fn bracket_end(&self, start: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in start..self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Sign("(" | "[" | "{") => depth += 1,
                Kind::Sign(")" | "]" | "}") => depth -= 1,
                Kind::Open | Kind::Close => return None,
                _ => {}
            }
            if depth == 0 {
                return Some(at + 1);
            }
        }
        None
    }

    /// Every text that the template may write whole: the data between tags, with and without the
    /// whitespace that tags may take away; string constants; what is left of them around the places
    /// of a format; and, where they are replaced or split, their parts.
    pub(super) fn fragments(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let (composed, next) = self.with_roles(at);
            for text in composed {
                texts.extend(trimmings(&text).map(str::to_owned));
                texts.extend(around_places(&text));
            }
            at = next;
        }
        if ["replace", "split", "rsplit", "partition", "rpartition"].iter().any(|word| self.has_word(word)) {
            texts.extend(self.parts(&texts));
        }
        texts.retain(|text| !text.is_empty());
        texts.sort();
        texts.dedup();
        texts
    }

    fn parts(&self, texts: &[String]) -> Vec<String> {
        let separators: Vec<&str> = (0..self.tokens.len()).filter_map(|at| self.constant(at)).collect();
        let cut = |separator: &&str| {
            let whole = texts.iter().filter(|text| !separator.is_empty() && text.len() > separator.len());
            whole.flat_map(|text| text.split(*separator).map(str::to_owned)).collect::<Vec<_>>()
        };
        separators.iter().flat_map(cut).collect()
    }

    /// The text at a token, joined with the roles and texts right behind it: `'<|' + message.role +
    /// '|>'` is one text for each role, since a role is none of the client's words. Returns where
    /// it ends.
    fn with_roles(&self, start: usize) -> (Vec<String>, usize) {
        let Some(first) = self.text_at(start) else {
            return (Vec::new(), start + 1);
        };
        let mut texts = vec![first.to_owned()];
        let mut at = start + 1;
        while let Some((role_end, next)) = self.role_after(at) {
            let tail = self.text_at(next).filter(|_| self.joined(role_end, next) && !self.binds_tighter(next + 1));
            // Something else than a message may have no role, which writes nothing.
            let words = || ROLES.into_iter().chain([""]);
            let append = |text: &String| {
                words().map(|role| format!("{text}{role}{}", tail.unwrap_or_default())).collect::<Vec<_>>()
            };
            texts = texts.iter().flat_map(append).collect();
            at = role_end;
            if tail.is_none() || texts.len() > 200 {
                break;
            }
            at = next + 1;
        }
        (texts, at)
    }

    fn text_at(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.kind {
            Kind::Data(text) => Some(text),
            Kind::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// A role that follows right behind the token before `at`: where its name ends, and where a
    /// text behind it would be.
    fn role_after(&self, at: usize) -> Option<(usize, usize)> {
        let begin = at + 1;
        let joins = matches!(self.sign(at), Some("+" | "~"))
            || self
                .tokens
                .get(at)
                .is_some_and(|token| token.kind == Kind::Open && &self.text[token.start..token.end] == "{{");
        let end = self.role_end(begin).filter(|_| joins)?;
        let closed = self.tokens.get(end)?;
        if closed.kind == Kind::Close && &self.text[closed.start..closed.end] == "}}" {
            return Some((end, end + 1));
        }
        matches!(self.sign(end), Some("+" | "~")).then_some((end, end + 1))
    }

    /// The end of `message.role` or `message['role']`, of any name: values under `role` that are
    /// not a message's are marked wherever they are.
    fn role_end(&self, at: usize) -> Option<usize> {
        self.word(at)?;
        if self.sign(at + 1) == Some(".") && self.word(at + 2) == Some("role") {
            return Some(at + 3).filter(|&end| !self.binds_tighter(end));
        }
        let item =
            self.sign(at + 1) == Some("[") && self.constant(at + 2) == Some("role") && self.sign(at + 3) == Some("]");
        item.then_some(at + 4).filter(|&end| !self.binds_tighter(end))
    }

    fn joined(&self, role_end: usize, text: usize) -> bool {
        let behind_tag = self.tokens[role_end].kind == Kind::Close;
        matches!(self.tokens.get(text).map(|token| &token.kind), Some(Kind::Data(_))) == behind_tag
    }

    fn binds_tighter(&self, at: usize) -> bool {
        matches!(self.sign(at), Some("." | "[" | "(" | "|" | "*" | "%" | "**" | "/" | "//"))
    }
}

/// A text as it is, and as whitespace control leaves it.
fn trimmings(text: &str) -> impl Iterator<Item = &str> {
    let without_newline = text.strip_prefix('\n').unwrap_or(text);
    let without_indent = |text: &'_ str| text.len() - text.trim_end_matches([' ', '\t']).len();
    let starts = [text, without_newline, text.trim_start()];
    starts.into_iter().flat_map(move |start| [start, &start[..start.len() - without_indent(start)], start.trim_end()])
}

/// What is left of a text when the places of `%` and `{}` formats are taken out.
fn around_places(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '%' => {
                if chars.next_if_eq(&'(').is_some() {
                    while chars.next().is_some_and(|c| c != ')') {}
                }
                while chars.next_if(|c| "-+ #.0123456789*".contains(*c)).is_some() {}
                chars.next();
                pieces.push(String::new());
            }
            '{' => {
                while chars.next_if(|&c| c != '}').is_some() {}
                chars.next();
                pieces.push(String::new());
            }
            _ => pieces.last_mut().map_or((), |piece| piece.push(c)),
        }
    }
    if pieces.len() > 1 { pieces } else { Vec::new() }
}
