//! Python's methods of strings, dictionaries and lists, over strings with marks.

use minijinja::formatting::FormatStyle;
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::compare;
use super::engine::charge;
use super::format::formatted;
use super::rewrite::ITEM;
use super::text::Text;

/// What `value.method(args)` gives for the methods that Python has and the engine has not.
pub(super) fn call_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if method == ITEM {
        let (key,): (&Value,) = from_args(args)?;
        return compare::item(state, value, key);
    }
    match value.kind() {
        ValueKind::String => {
            let args: Vec<Value> =
                args.iter().map(|arg| if arg.is_undefined() { Value::from(()) } else { arg.clone() }).collect();
            Text::new(state, value.as_str().unwrap_or_default())?.call(state, method, &args)
        }
        ValueKind::Map => map_method(state, value, method, args),
        ValueKind::Seq | ValueKind::Iterable => list_method(state, value, method, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn map_method(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let items =
        || value.try_iter()?.map(|key| value.get_item(&key).map(|item| (key, item))).collect::<Result<Vec<_>, _>>();
    match method {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = Some(compare::item(state, value, key)?).filter(|found| !found.is_undefined());
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

fn list_method(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "count" => {
            let (what,): (&Value,) = from_args(args)?;
            let mut count = 0_usize;
            for item in value.try_iter()? {
                charge(state, 0)?;
                count += usize::from(compare::equal(state, &item, what)?);
            }
            Ok(Value::from(count))
        }
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            let found = compare::position(state, value, what)?;
            found.map(Value::from).ok_or_else(|| failed("the list has no such item"))
        }
        "copy" => from_args(args).map(|()| value.clone()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// Arguments by position, and those by name behind them.
pub(super) fn split_arguments(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((named, positional)) if named.is_kwargs() => Ok((positional, Kwargs::try_from(named.clone())?)),
        _ => Ok((args, Kwargs::from_iter(std::iter::empty::<(&str, Value)>()))),
    }
}

pub(super) fn failed(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

impl Text {
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
            "format" => {
                let text: String = self.marked.iter().collect();
                formatted(state, FormatStyle::StrFormat, &text, args).map(Value::from)
            }
            "upper" | "lower" | "title" | "capitalize" | "swapcase" => {
                from_args(args).map(|()| Value::from(self.case(method)))
            }
            "zfill" | "ljust" | "rjust" | "center" => {
                let (width, fill) = from_args(args)?;
                self.pad(state, method, width, fill)
            }
            "expandtabs" => {
                let (args, kwargs) = split_arguments(args)?;
                let (size,): (Option<usize>,) = from_args(args)?;
                let size = size.or(kwargs.get::<Option<usize>>("tabsize")?);
                kwargs.assert_all_used()?;
                self.expand_tabs(state, size.unwrap_or(8))
            }
            _ => {
                let answer = self.asks(method).ok_or_else(|| Error::from(ErrorKind::UnknownMethod))?;
                from_args(args).map(|()| Value::from(answer))
            }
        }
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
        let mut positions = if from_left { self.matches(&separator) } else { self.matches_from_right(&separator) };
        positions.truncate(limit);
        positions.sort_unstable();
        let ends = positions.iter().copied().chain([self.plain.len()]);
        let starts = [0].into_iter().chain(positions.iter().map(|position| position + separator.len()));
        Ok(starts.zip(ends).map(|(from, to)| self.slice(from, to)).collect())
    }

    fn partition(&self, from_left: bool, args: &[Value]) -> Result<Value, Error> {
        let (separator,): (&str,) = from_args(args)?;
        let separator = self.plain(separator);
        if separator.is_empty() {
            return Err(failed("empty separator"));
        }
        let positions = if from_left { self.matches(&separator) } else { self.matches_from_right(&separator) };
        let whole = || self.rest(0);
        let parts = match positions.first() {
            Some(&at) => [self.slice(0, at), self.slice(at, at + separator.len()), self.rest(at + separator.len())],
            None if from_left => [whole(), Value::from(""), Value::from("")],
            None => [Value::from(""), Value::from(""), whole()],
        };
        Ok(Value::from(Tuple::from(parts.to_vec())))
    }

    fn split_lines(&self, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_arguments(args)?;
        let (keep_ends,): (Option<bool>,) = from_args(args)?;
        let keep_ends = keep_ends.or(kwargs.get::<Option<bool>>("keepends")?) == Some(true);
        kwargs.assert_all_used()?;
        Ok(self
            .lines()
            .into_iter()
            .map(|(from, to, next)| self.slice(from, if keep_ends { next } else { to }))
            .collect())
    }

    fn find(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (what, from, to): (&str, Option<i64>, Option<i64>) = from_args(args)?;
        let (from, to) = self.bounds(from, to);
        let what = self.plain(what);
        let mut positions = (from..=to.saturating_sub(what.len()))
            .filter(|&at| at + what.len() <= to && self.plain[at..].starts_with(&what));
        let position = if method.starts_with('r') { positions.next_back() } else { positions.next() };
        match position {
            Some(at) => Ok(Value::from(at)),
            None if method.ends_with("find") => Ok(Value::from(-1)),
            None => Err(failed("substring not found")),
        }
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
}
