//! Jinja2's filters and tests that look at characters, over strings with marks, and transformers'
//! `tojson`. The others are the engine's own.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, State, Value};

use super::engine::marks;
use super::python::{self, JsonStyle};
use super::strings::{self, Text, charge, split_arguments};

/// Adds them to an environment.
pub(super) fn add(env: &mut Environment<'_>) {
    env.add_filter("trim", trim);
    env.add_filter("replace", replace);
    env.add_filter("string", |state: &State<'_, '_>, value: &Value| python::text(value, &*marks(state)?));
    env.add_filter("join", join);
    env.add_filter("tojson", to_json);
    for name in ["upper", "lower", "title", "capitalize"] {
        env.add_filter(name, move |state: &State<'_, '_>, value: &Value| case(state, value, name));
    }
    for name in ["escape", "e", "forceescape"] {
        env.add_filter(name, escape);
    }
    env.add_filter("int", int);
    env.add_filter("float", float);
    for name in ["eq", "equalto", "=="] {
        env.add_test(name, equal);
    }
    for name in ["ne", "!="] {
        env.add_test(name, |state: &State<'_, '_>, a: &Value, b: &Value| equal(state, a, b).map(|equal| !equal));
    }
    env.add_test("iterable", is_iterable);
    env.add_test("sequence", is_iterable);
    env.add_test("in", |state: &State<'_, '_>, what: &Value, container: &Value| contains(state, container, what));
    env.add_test(CONTAINING, contains);
}

/// Jinja2's tests `iterable` and `sequence`, for which a text, a mapping and what is undefined are
/// both, and none and numbers neither.
fn is_iterable(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Undefined | String | Seq | Map | Iterable)
}

/// The test that stands for `constant in text`; no name that a template could use.
pub(super) const CONTAINING: &str = "carafe_containing";

fn equal(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    Ok(strings::equal(a, b, &*marks(state)?))
}

fn contains(state: &State<'_, '_>, container: &Value, what: &Value) -> Result<bool, Error> {
    charge(state, container.as_str().map_or(0, str::len))?;
    strings::contains(container, what, &*marks(state)?)
}

fn trim(state: &State<'_, '_>, value: &Value, set: Option<&str>) -> Result<Value, Error> {
    let marks = marks(state)?;
    Ok(Text::new(&python::text(value, &marks)?, &marks).strip(set, true, true))
}

fn replace(state: &State<'_, '_>, value: &Value, old: &Value, new: &Value, count: Option<i64>) -> Result<Value, Error> {
    let marks = marks(state)?;
    let text = |value: &Value| python::text(value, &marks);
    Text::new(&text(value)?, &marks).replace(state, &text(old)?, &text(new)?, count)
}

fn case(state: &State<'_, '_>, value: &Value, method: &str) -> Result<String, Error> {
    let marks = marks(state)?;
    let text = python::text(value, &marks)?;
    if method != "title" {
        return Ok(Text::new(&text, &marks).case(method));
    }
    // Unlike Python's method, Jinja2's filter begins words behind blanks, hyphens and brackets alone.
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars() {
        word.push(c);
        if strings::is_space(marks.plain(c)) || "-([{<".contains(marks.plain(c)) {
            out.push_str(&Text::new(&word, &marks).case("capitalize"));
            word.clear();
        }
    }
    Ok(out + &Text::new(&word, &marks).case("capitalize"))
}

fn join(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let args = args.into_values();
    let (args, kwargs) = split_arguments(&args)?;
    let (separator, attribute): (Option<&Value>, Option<&str>) = from_args(args)?;
    let attribute = attribute.or(kwargs.get::<Option<&str>>("attribute")?);
    let separator = separator.cloned().or(kwargs.get::<Option<Value>>("d")?).unwrap_or_else(|| Value::from(""));
    kwargs.assert_all_used()?;
    let marks = marks(state)?;
    let items: Value = match attribute {
        Some(name) => items.try_iter()?.map(|item| item.get_attr(name)).collect::<Result<Vec<_>, _>>()?.into(),
        None => items.clone(),
    };
    let texts = strings::texts(&items, &marks)?;
    let separator = python::text(&separator, &marks)?;
    charge(state, separator.len().saturating_mul(texts.len()))?;
    Ok(texts.join(&separator))
}

/// HTML's escapes. They are the engine's writing, so they are marked.
fn escape(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let marks = marks(state)?;
    let mut out = String::new();
    for c in python::text(value, &marks)?.chars() {
        let escaped = match marks.plain(c) {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&#34;",
            '\'' => "&#39;",
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push_str(&marks.strict_text(escaped));
    }
    Ok(out)
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
    let args = args.into_values();
    let (args, kwargs) = split_arguments(&args)?;
    let argument = |place: usize, name: &str| match args.get(place) {
        Some(value) => Ok(Some(value.clone())),
        None => kwargs.get::<Option<Value>>(name),
    };
    let indent = match argument(1, "indent")?.filter(|indent| !indent.is_none()) {
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?.min(MAX_INDENT)),
        }),
        None => None,
    };
    let separators = argument(2, "separators")?.filter(|separators| !separators.is_none());
    let separator = |place: usize, usual: &str| match &separators {
        Some(separators) => {
            Ok::<_, Error>(separators.get_item_by_index(place)?.as_str().unwrap_or_default().to_owned())
        }
        None => Ok(usual.to_owned()),
    };
    let style = JsonStyle {
        ensure_ascii: argument(0, "ensure_ascii")?.is_some_and(|yes| yes.is_true()),
        item_separator: separator(0, if indent.is_some() { "," } else { ", " })?,
        key_separator: separator(1, ": ")?,
        sort_keys: argument(3, "sort_keys")?.is_some_and(|yes| yes.is_true()),
        indent,
    };
    kwargs.assert_all_used()?;
    let text = python::json(value, &style, &*marks(state)?)?;
    charge(state, text.len().saturating_mul(4))?;
    Ok(text)
}

/// The widest indent of `tojson`, so that none fills the memory.
const MAX_INDENT: usize = 16;
