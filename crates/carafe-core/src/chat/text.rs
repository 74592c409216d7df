//! A string with marks, beside what it stands for.
//!
//! Python's methods of strings look at what marks stand for and give back the marked characters, so
//! that they find and cut what they would in the plain text. Every mark is one character for one,
//! so positions agree.

use std::sync::Arc;

use minijinja::{Error, State, Value};

use super::engine::{charge, marks};
use super::marks::Marks;
use super::python;

/// What a character takes in a [`Text`]: twice four bytes.
const BYTES_PER_CHARACTER: usize = 8;

/// Python's whitespace; Rust's lacks four separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A string, and what it stands for, character by character.
pub(super) struct Text {
    pub(super) marked: Vec<char>,
    pub(super) plain: Vec<char>,
    pub(super) marks: Arc<Marks>,
}

impl Text {
    /// Takes a string apart, which is paid for by the memory that it takes.
    pub(super) fn new(state: &State<'_, '_>, text: &str) -> Result<Self, Error> {
        charge(state, text.len().saturating_mul(BYTES_PER_CHARACTER))?;
        let marks = marks(state)?;
        let marked: Vec<char> = text.chars().collect();
        let plain = marked.iter().map(|&c| marks.plain(c)).collect();
        Ok(Self { marked, plain, marks })
    }

    /// Another text's characters, as they are compared with this one's.
    pub(super) fn plain(&self, text: &str) -> Vec<char> {
        self.marks.plain_characters(text).collect()
    }

    /// The text cut into parts of these lengths.
    pub(super) fn parts(&self, lengths: impl Iterator<Item = usize>) -> Vec<Self> {
        let mut from = 0;
        let part = |length: usize| {
            let range = from..from + length;
            from += length;
            let (marked, plain) = (self.marked[range.clone()].to_vec(), self.plain[range].to_vec());
            Self { marked, plain, marks: Arc::clone(&self.marks) }
        };
        lengths.map(part).collect()
    }

    /// The characters from one position to another.
    pub(super) fn slice(&self, from: usize, to: usize) -> Value {
        Value::from(self.marked[from..to.max(from)].iter().collect::<String>())
    }

    /// The characters from a position on.
    pub(super) fn rest(&self, from: usize) -> Value {
        self.slice(from, self.marked.len())
    }

    /// Python's `str.strip`, on either side or both.
    pub(super) fn strip(&self, set: Option<&str>, left: bool, right: bool) -> Value {
        let set = set.map(|set| self.plain(set));
        let gone = |c: &char| set.as_ref().map_or(is_space(*c), |set| set.contains(c));
        let from = if left { self.plain.iter().position(|c| !gone(c)).unwrap_or(self.plain.len()) } else { 0 };
        let to =
            if right { self.plain.iter().rposition(|c| !gone(c)).map_or(0, |last| last + 1) } else { self.plain.len() };
        self.slice(from, to)
    }

    /// Python's bounds of a slice: from the end where negative, and never outside.
    pub(super) fn bounds(&self, from: Option<i64>, to: Option<i64>) -> (usize, usize) {
        let length = i64::try_from(self.plain.len()).unwrap_or(i64::MAX);
        let position = |at: i64| {
            usize::try_from(if at < 0 { at.saturating_add(length).max(0) } else { at.min(length) }).unwrap_or_default()
        };
        (position(from.unwrap_or(0)), position(to.unwrap_or(length)))
    }

    /// Where a text begins in this one, from the left and without overlap. An empty text is before
    /// every character and at the end.
    pub(super) fn matches(&self, what: &[char]) -> Vec<usize> {
        if what.is_empty() {
            return (0..=self.plain.len()).collect();
        }
        let mut positions = Vec::new();
        let mut at = 0;
        while at + what.len() <= self.plain.len() {
            if self.plain[at..].starts_with(what) {
                positions.push(at);
                at += what.len();
            } else {
                at += 1;
            }
        }
        positions
    }

    /// As [`Text::matches`] from the right, the rightmost first.
    pub(super) fn matches_from_right(&self, what: &[char]) -> Vec<usize> {
        let mut positions = Vec::new();
        let mut end = self.plain.len();
        while end >= what.len() {
            if self.plain[..end].ends_with(what) {
                positions.push(end - what.len());
                end -= what.len();
            } else if end == 0 {
                break;
            } else {
                end -= 1;
            }
        }
        positions
    }

    /// Python's `str.split` at runs of whitespace.
    pub(super) fn split_at_spaces(&self, from_left: bool, limit: usize) -> Value {
        let mut words = self.words();
        if words.len() > limit && from_left {
            let (from, _) = words[limit];
            let end = self.plain.iter().rposition(|c| !is_space(*c)).map_or(from, |last| last + 1);
            words.truncate(limit);
            // Python keeps the whitespace behind what it does not split any more.
            words.push((from, if limit == 0 || end < self.plain.len() { self.plain.len() } else { end }));
        } else if words.len() > limit {
            let first = words.len() - limit;
            let (_, to) = words[first - 1];
            words.drain(..first);
            words.insert(0, (0, to));
        }
        words.into_iter().map(|(from, to)| self.slice(from, to)).collect()
    }

    /// Where the words between whitespace begin and end.
    pub(super) fn words(&self) -> Vec<(usize, usize)> {
        let mut words = Vec::new();
        let mut at = 0;
        while at < self.plain.len() {
            let from = at;
            while at < self.plain.len() && !is_space(self.plain[at]) {
                at += 1;
            }
            if from < at {
                words.push((from, at));
            }
            at += 1;
        }
        words
    }

    /// Where Python's `str.splitlines` has lines: from where, to where without and with the end.
    pub(super) fn lines(&self) -> Vec<(usize, usize, usize)> {
        let mut lines = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while at < self.plain.len() {
            let c = self.plain[at];
            let ends =
                matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
            let next = at + if c == '\r' && self.plain.get(at + 1) == Some(&'\n') { 2 } else { 1 };
            if ends {
                lines.push((from, at, next));
                from = next;
            }
            at = next;
        }
        if from < self.plain.len() {
            lines.push((from, self.plain.len(), self.plain.len()));
        }
        lines
    }

    /// Python's `str.replace`.
    pub(super) fn replace(
        &self,
        state: &State<'_, '_>,
        old: &str,
        new: &str,
        count: Option<i64>,
    ) -> Result<Value, Error> {
        let old = self.plain(old);
        let mut positions = self.matches(&old);
        positions.truncate(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX));
        charge(state, positions.len().saturating_mul(new.len()))?;
        let mut out = String::new();
        let mut from = 0;
        for at in positions {
            out.extend(&self.marked[from..at]);
            out.push_str(new);
            from = at + old.len();
        }
        out.extend(&self.marked[from..]);
        Ok(Value::from(out))
    }

    /// The text in another case. Marks stay marks, of whatever they become.
    pub(super) fn case(&self, method: &str) -> String {
        let mut out = String::new();
        let mut in_word = false;
        for (at, (&marked, &plain)) in self.marked.iter().zip(&self.plain).enumerate() {
            let upper = match method {
                "upper" => true,
                "lower" => false,
                "capitalize" => at == 0,
                "swapcase" => plain.is_lowercase(),
                _ => !in_word,
            };
            in_word = plain.is_alphabetic();
            let mark = |c| if self.marks.is_mark(marked) { self.marks.mark(c) } else { c };
            if upper { out.extend(plain.to_uppercase().map(mark)) } else { out.extend(plain.to_lowercase().map(mark)) }
        }
        out
    }

    /// Python's `str.center` and its like: at least `width` characters.
    pub(super) fn pad(
        &self,
        state: &State<'_, '_>,
        method: &str,
        width: usize,
        fill: Option<char>,
    ) -> Result<Value, Error> {
        let missing = width.saturating_sub(self.marked.len());
        charge(state, missing.saturating_mul(4))?;
        let text: String = self.marked.iter().collect();
        let usual = if method == "zfill" { '0' } else { self.marks.usual(' ') };
        let fill = |count: usize| fill.unwrap_or(usual).to_string().repeat(count);
        let left = match method {
            "ljust" => 0,
            // As CPython: where both sides cannot be equal, it depends on the width.
            "center" => missing / 2 + (missing & width & 1),
            _ => missing,
        };
        let signed = method == "zfill" && matches!(self.plain.first(), Some('+' | '-'));
        let (sign, digits) = text.split_at(if signed { self.marked[0].len_utf8() } else { 0 });
        Ok(Value::from(format!("{sign}{}{digits}{}", fill(left), fill(missing - left))))
    }

    /// Python's `str.expandtabs`.
    pub(super) fn expand_tabs(&self, state: &State<'_, '_>, size: usize) -> Result<Value, Error> {
        let mut out = String::new();
        let mut column = 0;
        for (&marked, &plain) in self.marked.iter().zip(&self.plain) {
            let width = if size == 0 { 0 } else { size - column % size };
            match plain {
                '\t' => {
                    charge(state, width)?;
                    out.extend(std::iter::repeat_n(self.marks.usual(' '), width));
                    column += width;
                }
                _ => {
                    out.push(marked);
                    column = if matches!(plain, '\n' | '\r') { 0 } else { column + 1 };
                }
            }
        }
        Ok(Value::from(out))
    }

    /// What Python's `str.isspace` and its like answer; nothing for what is no such method.
    pub(super) fn asks(&self, method: &str) -> Option<bool> {
        let all = |is: fn(char) -> bool| !self.plain.is_empty() && self.plain.iter().all(|&c| is(c));
        let cased = |is: fn(char) -> bool, not: fn(char) -> bool| {
            self.plain.iter().any(|&c| is(c)) && !self.plain.iter().any(|&c| not(c))
        };
        Some(match method {
            "isspace" => all(is_space),
            "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
            "isalpha" => all(char::is_alphabetic),
            "isalnum" => all(char::is_alphanumeric),
            "isprintable" => self.plain.iter().all(|&c| python::is_printable(c)),
            "isidentifier" => {
                let starts = |c: &char| c.is_alphabetic() || *c == '_';
                self.plain.first().is_some_and(starts) && self.plain.iter().all(|c| starts(c) || c.is_numeric())
            }
            "istitle" => self.is_title(),
            "isascii" => self.plain.iter().all(char::is_ascii),
            "isupper" => cased(char::is_uppercase, char::is_lowercase),
            "islower" => cased(char::is_lowercase, char::is_uppercase),
            _ => return None,
        })
    }

    /// Whether words begin with capitals and go on without any.
    fn is_title(&self) -> bool {
        let mut in_word = false;
        let mut any = false;
        for &c in &self.plain {
            let (upper, lower) = (c.is_uppercase(), c.is_lowercase());
            if (upper && in_word) || (lower && !in_word) {
                return false;
            }
            in_word = upper || lower;
            any |= in_word;
        }
        any
    }
}
