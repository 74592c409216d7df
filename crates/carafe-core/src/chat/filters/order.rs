//! Filters that compare items: `sort`, `unique`, `min`, `max`, `dictsort` and `groupby`.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Rest, Tuple, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::Arguments;
use crate::chat::compare::{self, Key};
use crate::chat::engine::charge;
use crate::chat::methods::failed;

pub(super) fn add(env: &mut Environment<'_>) {
    env.add_filter("sort", sort);
    env.add_filter("unique", unique);
    env.add_filter("min", |state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>| {
        extreme(state, value, args, false)
    });
    env.add_filter("max", |state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>| {
        extreme(state, value, args, true)
    });
    env.add_filter("dictsort", dict_sort);
    env.add_filter("groupby", group_by);
}

/// What an attribute is of every item.
pub(super) fn attributes(state: &State<'_, '_>, items: &Value, attribute: &Value) -> Result<Vec<Value>, Error> {
    items.try_iter()?.map(|item| path(state, &item, &attribute.to_string())).collect()
}

/// Follows a path such as `function.name` or `0`.
fn path(state: &State<'_, '_>, item: &Value, path: &str) -> Result<Value, Error> {
    let mut found = item.clone();
    for part in path.split('.') {
        let part = part.trim();
        found = match part.parse::<usize>() {
            Ok(index) => found.get_item_by_index(index)?,
            Err(_) => compare::item(state, &found, &Value::from(part))?,
        };
    }
    Ok(found)
}

/// What items are compared by: themselves, or their attributes, of which there may be several
/// between commas.
struct By {
    attribute: Option<String>,
    fold: bool,
}

impl By {
    fn new(attribute: Option<Value>, case_sensitive: bool) -> Self {
        let attribute = attribute.filter(|attribute| !attribute.is_none()).map(|attribute| attribute.to_string());
        Self { attribute, fold: !case_sensitive }
    }

    fn keys(&self, state: &State<'_, '_>, item: &Value) -> Result<Vec<Key>, Error> {
        match &self.attribute {
            None => Ok(vec![Key::of(state, item, self.fold)?]),
            Some(attribute) => {
                let key = |part: &str| Key::of(state, &path(state, item, part)?, self.fold);
                attribute.split(',').map(key).collect()
            }
        }
    }

    fn keyed(&self, state: &State<'_, '_>, items: &Value) -> Result<Vec<(Vec<Key>, Value)>, Error> {
        let mut keyed = Vec::new();
        for item in items.try_iter()? {
            // A comparison for each halving of the list, as if each took as long as an instruction.
            charge(state, 64 * usize::BITS.saturating_sub(keyed.len().leading_zeros()) as usize)?;
            keyed.push((self.keys(state, &item)?, item));
        }
        Ok(keyed)
    }
}

fn sort(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut arguments = Arguments::read(args)?;
    let reverse = arguments.flag(0, "reverse", false)?;
    let case_sensitive = arguments.flag(1, "case_sensitive", false)?;
    let by = By::new(arguments.get(2, "attribute")?, case_sensitive);
    arguments.finish(3)?;
    let mut keyed = by.keyed(state, items)?;
    sort_keyed(&mut keyed, reverse);
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// Sorts by keys; equal ones stay in order, also in reverse.
fn sort_keyed(keyed: &mut [(Vec<Key>, Value)], reverse: bool) {
    if reverse {
        keyed.sort_by(|(a, _), (b, _)| Reverse(a).cmp(&Reverse(b)));
    } else {
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

fn unique(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut arguments = Arguments::read(args)?;
    let case_sensitive = arguments.flag(0, "case_sensitive", false)?;
    let by = By::new(arguments.get(1, "attribute")?, case_sensitive);
    arguments.finish(2)?;
    let mut seen = BTreeSet::new();
    let keyed = by.keyed(state, items)?;
    Ok(keyed.into_iter().filter_map(|(keys, item)| seen.insert(keys).then_some(item)).collect())
}

fn extreme(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>, largest: bool) -> Result<Value, Error> {
    let mut arguments = Arguments::read(args)?;
    let case_sensitive = arguments.flag(0, "case_sensitive", false)?;
    let by = By::new(arguments.get(1, "attribute")?, case_sensitive);
    arguments.finish(2)?;
    let mut keyed = by.keyed(state, items)?;
    sort_keyed(&mut keyed, largest);
    Ok(keyed.into_iter().next().map_or(Value::UNDEFINED, |(_, item)| item))
}

fn dict_sort(state: &State<'_, '_>, map: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut arguments = Arguments::read(args)?;
    let case_sensitive = arguments.flag(0, "case_sensitive", false)?;
    let by = arguments.get(1, "by")?;
    let reverse = arguments.flag(2, "reverse", false)?;
    arguments.finish(3)?;
    let position = match by.as_ref().and_then(|by| by.as_str()) {
        None | Some("key") => 0,
        Some("value") => 1,
        Some(_) => return Err(failed("`by` of `dictsort` must be `key` or `value`")),
    };
    let pair = |key: Value| Ok(Value::from(Tuple::from([key.clone(), map.get_item(&key)?])));
    let pairs: Value = map.try_iter()?.map(pair).collect::<Result<Vec<Value>, Error>>()?.into();
    let mut keyed = By::new(Some(Value::from(position)), case_sensitive).keyed(state, &pairs)?;
    sort_keyed(&mut keyed, reverse);
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// A group of items with an equal attribute: a named tuple of what it is and the list.
#[derive(Debug)]
pub(in crate::chat) struct Group {
    grouper: Value,
    list: Value,
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match (key.as_usize(), key.as_str()) {
            (Some(0), _) | (_, Some("grouper")) => Some(self.grouper.clone()),
            (Some(1), _) | (_, Some("list")) => Some(self.list.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}

fn group_by(state: &State<'_, '_>, items: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut arguments = Arguments::read(args)?;
    let attribute = arguments.get(0, "attribute")?.ok_or_else(|| failed("`groupby` needs an attribute"))?;
    let default = arguments.get(1, "default")?.filter(|default| !default.is_none());
    let fold = !arguments.flag(2, "case_sensitive", false)?;
    arguments.finish(3)?;
    let of = |item: &Value| {
        let found = path(state, item, &attribute.to_string())?;
        Ok::<_, Error>(default.clone().filter(|_| found.is_undefined()).unwrap_or(found))
    };
    let mut keyed = Vec::new();
    for item in items.try_iter()? {
        keyed.push((vec![Key::of(state, &of(&item)?, fold)?], item));
    }
    sort_keyed(&mut keyed, false);
    let mut groups = Vec::new();
    for group in keyed.chunk_by(|(a, _), (b, _)| a == b) {
        let grouper = of(&group[0].1)?;
        let list = group.iter().map(|(_, item)| item.clone()).collect();
        groups.push(Value::from_object(Group { grouper, list }));
    }
    Ok(groups.into())
}
