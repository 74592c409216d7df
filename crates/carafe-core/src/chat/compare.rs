//! Comparisons and lookups that see through marks: a client's text equals, precedes, contains and
//! finds what the text that it stands for does.
//!
//! They answer with booleans, positions and values as they were, never with text that was
//! compared: [`Key`]s stay inside of this module's callers, since in them marks are gone.

use std::cmp::Ordering;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::engine::{charge, marks};
use super::object::ClientObject;
use super::python::{MAX_DEPTH, too_deep};

/// A value to compare by: texts are what their marks stand for. It is not rendered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Value);

impl Key {
    /// The key of a value; of a text in lower case if `fold`.
    pub(super) fn of(state: &State<'_, '_>, value: &Value, fold: bool) -> Result<Self, Error> {
        let value = plain(state, value, 0)?;
        Ok(Self(match value.as_str() {
            Some(text) if fold => Value::from(text.to_lowercase()),
            _ => value,
        }))
    }
}

/// A value whose texts, at whatever depth, are what their marks stand for.
fn plain(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    charge(state, 0)?;
    let inside = |value: &Value| plain(state, value, depth + 1);
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            charge(state, text.len())?;
            Ok(Value::from(marks(state)?.plain_text(text)))
        }
        ValueKind::Map => {
            let entry = |key: Value| Ok((inside(&key)?, inside(&value.get_item(&key)?)?));
            let entries: Vec<(Value, Value)> = value.try_iter()?.map(entry).collect::<Result<_, Error>>()?;
            Ok(Value::from_iter(entries))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.map(|item| inside(&item)).collect::<Result<_, _>>()?;
            Ok(if value.is_tuple() { minijinja::value::Tuple::from(items).into() } else { items.into() })
        }
        _ => Ok(value.clone()),
    }
}

/// Whether a chain of comparisons holds: a value, then operators each with its right side.
pub(super) fn compared(state: &State<'_, '_>, value: &Value, rest: Rest<Value>) -> Result<bool, Error> {
    let mut left = value;
    for pair in rest.chunks_exact(2) {
        if !holds(state, left, pair[0].as_str().unwrap_or_default(), &pair[1])? {
            return Ok(false);
        }
        left = &pair[1];
    }
    Ok(true)
}

/// Whether `left operator right`.
pub(super) fn holds(state: &State<'_, '_>, left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    Ok(match operator {
        "==" => equal(state, left, right)?,
        "!=" => !equal(state, left, right)?,
        "<" => order(state, left, right)?.is_lt(),
        "<=" => order(state, left, right)?.is_le(),
        ">" => order(state, left, right)?.is_gt(),
        ">=" => order(state, left, right)?.is_ge(),
        "in" => contains(state, right, left)?,
        _ => !contains(state, right, left)?,
    })
}

/// Whether two values are equal.
pub(super) fn equal(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        charge(state, a.len().min(b.len()))?;
        let marks = marks(state)?;
        return Ok(marks.plain_characters(a).eq(marks.plain_characters(b)));
    }
    match (is_container(a), is_container(b)) {
        (true, true) => Ok(Key::of(state, a, false)? == Key::of(state, b, false)?),
        (false, false) => Ok(a == b),
        _ => Ok(false),
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable)
}

fn order(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<Ordering, Error> {
    Ok(Key::of(state, a, false)?.cmp(&Key::of(state, b, false)?))
}

/// Whether a value is in a container: a text in a text, an item in a list, a key in a mapping.
pub(super) fn contains(state: &State<'_, '_>, container: &Value, what: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        let kind = what.kind();
        let what = what.as_str().ok_or_else(|| invalid(format!("`in` of a string needs a string, not {kind}")))?;
        charge(state, text.len())?;
        let marks = marks(state)?;
        return Ok(marks.plain_text(text).contains(&marks.plain_text(what)));
    }
    match container.kind() {
        ValueKind::Undefined => Ok(false),
        ValueKind::Map => Ok(key_of(state, container, what)?.is_some()),
        ValueKind::Seq | ValueKind::Iterable => Ok(position(state, container, what)?.is_some()),
        kind => Err(invalid(format!("`in` needs a string, list or mapping, not {kind}"))),
    }
}

/// Where an item is in a list.
pub(super) fn position(state: &State<'_, '_>, list: &Value, what: &Value) -> Result<Option<usize>, Error> {
    for (at, item) in list.try_iter()?.enumerate() {
        charge(state, 0)?;
        if equal(state, &item, what)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// What a subscript finds: an item by its position or key, or nothing, which is undefined.
pub(super) fn item(state: &State<'_, '_>, container: &Value, key: &Value) -> Result<Value, Error> {
    let found = container.get_item(key)?;
    if !found.is_undefined() || container.kind() != ValueKind::Map {
        return Ok(found);
    }
    match key_of(state, container, key)? {
        Some(key) => container.get_item(&key),
        None => Ok(Value::UNDEFINED),
    }
}

/// A mapping's own key that equals another.
fn key_of(state: &State<'_, '_>, map: &Value, key: &Value) -> Result<Option<Value>, Error> {
    if !map.get_item(key)?.is_undefined() {
        return Ok(Some(key.clone()));
    }
    if map.downcast_object_ref::<ClientObject>().is_some() {
        return Ok(None);
    }
    for own in map.try_iter()? {
        charge(state, 0)?;
        if equal(state, &own, key)? {
            return Ok(Some(own));
        }
    }
    Ok(None)
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}
