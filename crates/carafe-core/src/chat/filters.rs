//! Jinja2's filters and tests that look at characters, over strings with marks, and transformers'
//! `tojson`. The others are the engine's own.
//!
//! What filters write beside a client's characters is marked like these, so that it is no part of a
//! control token either.

mod arguments;
mod html;
mod layout;
mod order;
mod wrap;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::engine::{charge, marks};
use super::python::{self, Style};
use super::rewrite::COMPARED;
use super::text::{Text, is_space};
use super::{compare, format, methods};

use arguments::Arguments;

pub(super) use order::Group;

/// Adds them to an environment.
pub(super) fn add(env: &mut Environment<'_>) {
    add_tests(env);
    html::add(env);
    layout::add(env);
    order::add(env);
    env.add_filter("trim", trim);
    env.add_filter("replace", replace);
    env.add_filter("string", python::text);
    env.add_filter("join", join);
    env.add_filter("format", format::filter);
    env.add_filter("tojson", to_json);
    for name in ["upper", "lower", "title", "capitalize"] {
        env.add_filter(name, move |state: &State<'_, '_>, value: &Value| case(state, value, name));
    }
    env.add_filter("int", int);
    env.add_filter("float", float);
}

fn add_tests(env: &mut Environment<'_>) {
    for (operator, names) in [
        ("==", &["==", "eq", "equalto"][..]),
        ("!=", &["!=", "ne"]),
        ("<", &["<", "lt", "lessthan"]),
        ("<=", &["<=", "le"]),
        (">", &[">", "gt", "greaterthan"]),
        (">=", &[">=", "ge"]),
        ("in", &["in"]),
    ] {
        for name in names {
            env.add_test(*name, move |state: &State<'_, '_>, left: &Value, right: &Value| {
                compare::holds(state, left, operator, right)
            });
        }
    }
    env.add_test(COMPARED, compare::compared);
    for (name, method) in [("lower", "islower"), ("upper", "isupper")] {
        env.add_test(name, move |state: &State<'_, '_>, value: &Value| {
            Ok::<_, Error>(text(state, value)?.asks(method).unwrap_or_default())
        });
    }
    env.add_test("iterable", is_iterable);
    env.add_test("sequence", is_iterable);
    env.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
}

/// Jinja2's tests `iterable` and `sequence`, for which a text, a mapping and what is undefined are
/// both, and none and numbers neither.
fn is_iterable(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Undefined | String | Seq | Map | Iterable)
}

/// A value as Python's `str` writes it.
fn text(state: &State<'_, '_>, value: &Value) -> Result<Text, Error> {
    Text::new(state, &python::text(state, value)?)
}

fn trim(state: &State<'_, '_>, value: &Value, set: Option<&str>) -> Result<Value, Error> {
    Ok(text(state, value)?.strip(set, true, true))
}

fn replace(state: &State<'_, '_>, value: &Value, old: &Value, new: &Value, count: Option<i64>) -> Result<Value, Error> {
    text(state, value)?.replace(state, &python::text(state, old)?, &python::text(state, new)?, count)
}

fn case(state: &State<'_, '_>, value: &Value, method: &str) -> Result<String, Error> {
    let text = text(state, value)?;
    if method != "title" {
        return Ok(text.case(method));
    }
    // Unlike Python's method, Jinja2's filter begins words behind blanks, hyphens and brackets
    // alone.
    let ends = |c: char| is_space(c) || "-([{<".contains(c);
    let mut out = String::new();
    for word in text.parts(text.plain.split_inclusive(|&c| ends(c)).map(<[char]>::len)) {
        out.push_str(&word.case("capitalize"));
    }
    Ok(out)
}

fn join(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let separator = arguments.get(0, "d")?.unwrap_or_else(|| Value::from(""));
    let attribute = arguments.get(1, "attribute")?;
    arguments.finish(2)?;
    let items: Value = match attribute {
        Some(name) => order::attributes(state, items, &name)?.into(),
        None => items.clone(),
    };
    let texts = python::texts(state, &items)?;
    let separator = python::text(state, &separator)?;
    charge(state, separator.len().saturating_mul(texts.len()))?;
    charge(state, texts.iter().map(String::len).sum())?;
    Ok(texts.join(&separator))
}

fn int(state: &State<'_, '_>, value: &Value, default: Option<Value>) -> Result<Value, Error> {
    let default = default.unwrap_or_else(|| Value::from(0));
    let truncated = |number: f64| number.is_finite().then(|| Value::from(number.trunc() as i128));
    let Some(text) = value.as_str() else {
        let integer = || i128::try_from(value.clone()).ok().map(Value::from);
        return Ok(integer().or_else(|| f64::try_from(value.clone()).ok().and_then(truncated)).unwrap_or(default));
    };
    let text = marks(state)?.plain_text(text);
    // As Jinja2, which reads "3.7" as a float where it is no integer.
    let integer = text.trim().parse::<i128>().ok().map(Value::from);
    Ok(integer.or_else(|| text.trim().parse().ok().and_then(truncated)).unwrap_or(default))
}

fn float(state: &State<'_, '_>, value: &Value, default: Option<Value>) -> Result<Value, Error> {
    let default = default.unwrap_or_else(|| Value::from(0.0));
    match value.as_str() {
        Some(text) => Ok(marks(state)?.plain_text(text).trim().parse::<f64>().map_or(default, Value::from)),
        None => Ok(f64::try_from(value.clone()).map_or(default, Value::from)),
    }
}

/// `json.dumps` with the arguments that transformers lets through.
fn to_json(state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let mut style = Style::json(arguments.flag(0, "ensure_ascii", false)?);
    if let Some(indent) = arguments.get(1, "indent")?.filter(|indent| !indent.is_none()) {
        style.indent = Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?.min(MAX_INDENT)),
        });
        style.item_separator = ",".to_owned();
    }
    if let Some(separators) = arguments.get(2, "separators")?.filter(|separators| !separators.is_none()) {
        let separator = |at: usize| match separators.get_item_by_index(at)?.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(methods::failed("`separators` must be two strings")),
        };
        (style.item_separator, style.key_separator) = (separator(0)?, separator(1)?);
    }
    style.sort_keys = arguments.flag(3, "sort_keys", false)?;
    arguments.finish(4)?;
    python::json(state, value, &style)
}

/// The widest indent of `tojson`, so that none fills the memory.
const MAX_INDENT: usize = 16;
