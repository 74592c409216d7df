//! Python's methods of strings, dictionaries and lists, over strings with marks.
//!
//! A method compares what marks stand for and gives back the marked characters, so that it finds and
//! cuts what it would in the plain text. Every mark is one character for one, so places agree.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::engine::marks;
use super::marks::Marks;
use super::python;

/// What `value.method(args)` gives for the methods that Python has and the engine has not.
pub(super) fn call_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let marks = marks(state)?;
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            charge(state, text.len())?;
            let args: Vec<Value> =
                args.iter().map(|arg| if arg.is_undefined() { Value::from(()) } else { arg.clone() }).collect();
            Text::new(text, &marks).call(state, method, &args)
        }
        ValueKind::Map => map_method(value, method, args),
        ValueKind::Seq | ValueKind::Iterable => list_method(value, method, args, &marks),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// Pays for the work over some bytes: the engine takes one unit of fuel for 64 of them.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(bytes / 64 + 1).unwrap_or(u64::MAX))
}

fn map_method(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let items =
        || value.try_iter()?.map(|key| value.get_item(&key).map(|item| (key, item))).collect::<Result<Vec<_>, _>>();
    match method {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(key).ok().filter(|found| !found.is_undefined());
            Ok(found.or(default).unwrap_or_else(|| Value::from(())))
        }
        "keys" => from_args(args).and_then(|()| Ok(value.try_iter()?.collect())),
        "values" => from_args(args).and_then(|()| Ok(items()?.into_iter().map(|(_, item)| item).collect())),
        "items" => from_args(args)
            .and_then(|()| Ok(items()?.into_iter().map(|(key, item)| Value::from(Tuple::from([key, item]))).collect())),
        "copy" => from_args(args).map(|()| value.clone()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn list_method(value: &Value, method: &str, args: &[Value], marks: &Marks) -> Result<Value, Error> {
    let place = |what: &Value| Ok::<_, Error>(value.try_iter()?.position(|item| equal(&item, what, marks)));
    match method {
        "count" => {
            let (what,): (&Value,) = from_args(args)?;
            Ok(Value::from(value.try_iter()?.filter(|item| equal(item, what, marks)).count()))
        }
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            place(what)?.map(Value::from).ok_or_else(|| failed("the list has no such item"))
        }
        "copy" => from_args(args).map(|()| value.clone()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// Whether two values are equal when marks are what they stand for.
pub(super) fn equal(a: &Value, b: &Value, marks: &Marks) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.chars().map(|c| marks.plain(c)).eq(b.chars().map(|c| marks.plain(c))),
        _ => a == b,
    }
}

/// Whether a value is in a container: a text in a text, an item in a list, a key in a mapping.
pub(super) fn contains(container: &Value, what: &Value, marks: &Marks) -> Result<bool, Error> {
    if container.is_undefined() {
        return Ok(false);
    }
    if let Some(text) = container.as_str() {
        let what =
            what.as_str().ok_or_else(|| failed(format!("`in` of a string needs a string, not {}", what.kind())))?;
        return Ok(marks.plain_text(text).contains(&marks.plain_text(what)));
    }
    if matches!(container.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) {
        return Ok(container.try_iter()?.any(|item| equal(&item, what, marks)));
    }
    Err(failed(format!("`in` needs a string, list or mapping, not {}", container.kind())))
}

/// Arguments by place, and those by name behind them.
pub(super) fn split_arguments(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((named, placed)) if named.is_kwargs() => Ok((placed, Kwargs::try_from(named.clone())?)),
        _ => Ok((args, Kwargs::from_iter(std::iter::empty::<(&str, Value)>()))),
    }
}

fn failed(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

/// Python's whitespace; Rust's lacks four separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A string, and what it stands for, character by character.
pub(super) struct Text<'a> {
    marked: Vec<char>,
    plain: Vec<char>,
    marks: &'a Marks,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &str, marks: &'a Marks) -> Self {
        let marked: Vec<char> = text.chars().collect();
        let plain = marked.iter().map(|&c| marks.plain(c)).collect();
        Self { marked, plain, marks }
    }

    fn plain(&self, text: &str) -> Vec<char> {
        text.chars().map(|c| self.marks.plain(c)).collect()
    }

    fn slice(&self, from: usize, to: usize) -> Value {
        Value::from(self.marked[from..to.max(from)].iter().collect::<String>())
    }

    fn rest(&self, from: usize) -> Value {
        self.slice(from, self.marked.len())
    }

    fn call(&self, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "strip" | "lstrip" | "rstrip" => {
                let (set,): (Option<&str>,) = from_args(args)?;
                Ok(self.strip(set, method != "rstrip", method != "lstrip"))
            }
            "startswith" | "endswith" => self.affix(method == "startswith", args),
            "split" | "rsplit" => self.split(method == "split", args),
            "partition" | "rpartition" => self.partition(method == "partition", args),
            "splitlines" => self.split_lines(args),
            "find" | "rfind" | "index" | "rindex" => self.find(method, args),
            "count" => {
                let (what,): (&str,) = from_args(args)?;
                Ok(Value::from(self.matches(&self.plain(what)).len()))
            }
            "replace" => {
                let (args, kwargs) = split_arguments(args)?;
                let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
                let count = count.or(kwargs.get::<Option<i64>>("count")?);
                kwargs.assert_all_used()?;
                self.replace(state, old, new, count)
            }
            "removeprefix" => {
                let (prefix,): (&str,) = from_args(args)?;
                let prefix = self.plain(prefix);
                Ok(self.rest(if self.plain.starts_with(&prefix) { prefix.len() } else { 0 }))
            }
            "removesuffix" => {
                let (suffix,): (&str,) = from_args(args)?;
                let suffix = self.plain(suffix);
                let cut = if self.plain.ends_with(&suffix) { suffix.len() } else { 0 };
                Ok(self.slice(0, self.marked.len() - cut))
            }
            "join" => {
                let (items,): (&Value,) = from_args(args)?;
                self.join(state, items)
            }
            "format" => format(FormatStyle::StrFormat, &self.marked.iter().collect::<String>(), args).map(Value::from),
            "upper" | "lower" | "title" | "capitalize" | "swapcase" => {
                from_args(args).map(|()| Value::from(self.case(method)))
            }
            "zfill" | "ljust" | "rjust" | "center" => self.pad(state, method, args),
            _ => from_args(args)
                .map_err(
                    |error: Error| {
                        if self.asks(method).is_some() { error } else { Error::from(ErrorKind::UnknownMethod) }
                    },
                )
                .and_then(|()| self.asks(method).map(Value::from).ok_or_else(|| Error::from(ErrorKind::UnknownMethod))),
        }
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

    fn affix(&self, start: bool, args: &[Value]) -> Result<Value, Error> {
        let (what, from, to): (&Value, Option<i64>, Option<i64>) = from_args(args)?;
        let (from, to) = self.bounds(from, to);
        let text = &self.plain[from..to.max(from)];
        let is = |affix: &str| {
            let affix = self.plain(affix);
            if start { text.starts_with(&affix) } else { text.ends_with(&affix) }
        };
        if let Some(affix) = what.as_str() {
            return Ok(Value::from(is(affix)));
        }
        if !what.is_tuple() {
            return Err(failed(format!("expected a string or a tuple of strings, not {}", what.kind())));
        }
        Ok(Value::from(what.try_iter()?.any(|affix| affix.as_str().is_some_and(is))))
    }

    /// Python's bounds of a slice: from the end where negative, and never outside.
    fn bounds(&self, from: Option<i64>, to: Option<i64>) -> (usize, usize) {
        let length = i64::try_from(self.plain.len()).unwrap_or(i64::MAX);
        let place = |at: i64| {
            usize::try_from(if at < 0 { at.saturating_add(length).max(0) } else { at.min(length) }).unwrap_or_default()
        };
        (place(from.unwrap_or(0)), place(to.unwrap_or(length)))
    }

    /// Where a text begins in this one, from the left and without overlap. An empty text is before
    /// every character and at the end.
    fn matches(&self, what: &[char]) -> Vec<usize> {
        if what.is_empty() {
            return (0..=self.plain.len()).collect();
        }
        let mut places = Vec::new();
        let mut at = 0;
        while at + what.len() <= self.plain.len() {
            if self.plain[at..].starts_with(what) {
                places.push(at);
                at += what.len();
            } else {
                at += 1;
            }
        }
        places
    }

    /// As [`Text::matches`] from the right, the rightmost first.
    fn matches_from_right(&self, what: &[char]) -> Vec<usize> {
        let mut places = Vec::new();
        let mut end = self.plain.len();
        while end >= what.len() {
            if self.plain[..end].ends_with(what) {
                places.push(end - what.len());
                end -= what.len();
            } else if end == 0 {
                break;
            } else {
                end -= 1;
            }
        }
        places
    }

    fn split(&self, from_left: bool, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_arguments(args)?;
        let (separator, limit): (Option<&str>, Option<i64>) = from_args(args)?;
        let separator = separator.or(kwargs.get::<Option<&str>>("sep")?);
        let limit = limit.or(kwargs.get::<Option<i64>>("maxsplit")?);
        kwargs.assert_all_used()?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let Some(separator) = separator else {
            return Ok(self.split_at_spaces(from_left, limit));
        };
        let separator = self.plain(separator);
        if separator.is_empty() {
            return Err(failed("empty separator"));
        }
        let mut places = if from_left { self.matches(&separator) } else { self.matches_from_right(&separator) };
        places.truncate(limit);
        places.sort_unstable();
        let ends = places.iter().copied().chain([self.plain.len()]);
        let starts = [0].into_iter().chain(places.iter().map(|place| place + separator.len()));
        Ok(starts.zip(ends).map(|(from, to)| self.slice(from, to)).collect())
    }

    fn split_at_spaces(&self, from_left: bool, limit: usize) -> Value {
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

    fn words(&self) -> Vec<(usize, usize)> {
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

    fn partition(&self, from_left: bool, args: &[Value]) -> Result<Value, Error> {
        let (separator,): (&str,) = from_args(args)?;
        let separator = self.plain(separator);
        if separator.is_empty() {
            return Err(failed("empty separator"));
        }
        let places = if from_left { self.matches(&separator) } else { self.matches_from_right(&separator) };
        let whole = || self.rest(0);
        let parts = match places.first() {
            Some(&at) => [self.slice(0, at), self.slice(at, at + separator.len()), self.rest(at + separator.len())],
            None if from_left => [whole(), Value::from(""), Value::from("")],
            None => [Value::from(""), Value::from(""), whole()],
        };
        Ok(Value::from(Tuple::from(parts.to_vec())))
    }

    fn split_lines(&self, args: &[Value]) -> Result<Value, Error> {
        let (keep_ends,): (Option<bool>,) = from_args(args)?;
        let mut lines = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while at < self.plain.len() {
            let c = self.plain[at];
            let ends =
                matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
            let next = at + if c == '\r' && self.plain.get(at + 1) == Some(&'\n') { 2 } else { 1 };
            if ends {
                lines.push(self.slice(from, if keep_ends == Some(true) { next } else { at }));
                from = next;
            }
            at = next;
        }
        if from < self.plain.len() {
            lines.push(self.rest(from));
        }
        Ok(Value::from(lines))
    }

    fn find(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (what, from, to): (&str, Option<i64>, Option<i64>) = from_args(args)?;
        let (from, to) = self.bounds(from, to);
        let what = self.plain(what);
        let mut places = (from..=to.saturating_sub(what.len()))
            .filter(|&at| at + what.len() <= to && self.plain[at..].starts_with(&what));
        let place = if method.starts_with('r') { places.next_back() } else { places.next() };
        match place {
            Some(at) => Ok(Value::from(at)),
            None if method.ends_with("find") => Ok(Value::from(-1)),
            None => Err(failed("substring not found")),
        }
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
        let mut places = self.matches(&old);
        places.truncate(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX));
        charge(state, places.len().saturating_mul(new.len()))?;
        let mut out = String::new();
        let mut from = 0;
        for at in places {
            out.extend(&self.marked[from..at]);
            out.push_str(new);
            from = at + old.len();
        }
        out.extend(&self.marked[from..]);
        Ok(Value::from(out))
    }

    fn join(&self, state: &State<'_, '_>, items: &Value) -> Result<Value, Error> {
        let separator: String = self.marked.iter().collect();
        let mut out = String::new();
        for (at, item) in items.try_iter()?.enumerate() {
            let text = item.as_str().ok_or_else(|| failed(format!("`join` needs strings, not {}", item.kind())))?;
            charge(state, separator.len() + text.len())?;
            if at > 0 {
                out.push_str(&separator);
            }
            out.push_str(text);
        }
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

    fn pad(&self, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (width, fill): (usize, Option<char>) = from_args(args)?;
        let missing = width.saturating_sub(self.marked.len());
        charge(state, missing.saturating_mul(4))?;
        let text: String = self.marked.iter().collect();
        let fill = |count: usize| fill.unwrap_or(if method == "zfill" { '0' } else { ' ' }).to_string().repeat(count);
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

    fn asks(&self, method: &str) -> Option<bool> {
        let all = |is: fn(char) -> bool| !self.plain.is_empty() && self.plain.iter().all(|&c| is(c));
        let cased = |is: fn(char) -> bool, not: fn(char) -> bool| {
            self.plain.iter().any(|&c| is(c)) && !self.plain.iter().any(|&c| not(c))
        };
        Some(match method {
            "isspace" => all(is_space),
            "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
            "isalpha" => all(char::is_alphabetic),
            "isalnum" => all(char::is_alphanumeric),
            "isascii" => self.plain.iter().all(char::is_ascii),
            "isupper" => cased(char::is_uppercase, char::is_lowercase),
            "islower" => cased(char::is_lowercase, char::is_uppercase),
            _ => return None,
        })
    }
}

/// The items of a value as Python's `str` writes them.
pub(super) fn texts(items: &Value, marks: &Marks) -> Result<Vec<String>, Error> {
    items.try_iter()?.map(|item| python::text(&item, marks)).collect()
}
