//! Filters that write HTML or take it away: `escape`, `striptags`, `urlencode` and `xmlattr`.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, State, Value};

use super::text;
use crate::chat::engine::{charge, marks};
use crate::chat::methods::failed;
use crate::chat::python;

pub(super) fn add(env: &mut Environment<'_>) {
    for name in ["escape", "e", "forceescape"] {
        env.add_filter(name, escape);
    }
    env.add_filter("striptags", strip_tags);
    env.add_filter("urlencode", url_encode);
    env.add_filter("xmlattr", xml_attributes);
}

fn escape(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let marks = marks(state)?;
    let mut out = String::new();
    for c in python::text(state, value)?.chars() {
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

/// Takes comments and tags away, joins what is left by single blanks, and resolves entities.
fn strip_tags(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let marks = marks(state)?;
    let mut text: Vec<char> = text(state, value)?.marked;
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        let find = |text: &[char], what: &str, from: usize| {
            let what: Vec<char> = what.chars().collect();
            let mut windows = text[from..].windows(what.len());
            windows
                .position(|window| window.iter().map(|&c| marks.plain(c)).eq(what.iter().copied()))
                .map(|at| from + at)
        };
        let mut from = 0;
        while let Some(start) = find(&text, open, from) {
            let Some(end) = find(&text, close, start) else { break };
            charge(state, text.len())?;
            text.drain(start..end + close.len());
            // What was apart may be an opening now.
            from = start.saturating_sub(open.len());
        }
    }
    let words = text.split(|&c| super::is_space(marks.plain(c))).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| word.iter().collect()).collect();
    let text = words.join(&marks.usual(' ').to_string());
    Ok(unescaped(&text, |c| marks.plain(c), |c| marks.mark(c)))
}

/// Entities that HTML knows without a semicolon as well.
const ENTITIES: [(&str, char); 5] = [("amp", '&'), ("gt", '>'), ("lt", '<'), ("nbsp", '\u{a0}'), ("quot", '"')];

fn unescaped(text: &str, plain: impl Fn(char) -> char, mark: impl Fn(char) -> char) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < characters.len() {
        let ahead: String = characters[at..].iter().take(MAX_ENTITY).map(|&c| plain(c)).collect();
        match entity(&ahead) {
            Some((c, length)) => {
                out.push(mark(c));
                at += length;
            }
            None => {
                out.push(characters[at]);
                at += 1;
            }
        }
    }
    out
}

/// More characters than an entity has; longer numbers are no character's.
const MAX_ENTITY: usize = 16;

/// The entity that a text begins with, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let inside = text.strip_prefix('&')?;
    let (c, length) = match inside.strip_prefix('#') {
        Some(number) => number_entity(number).map(|(c, length)| (c, 1 + length))?,
        None if inside.starts_with("apos;") => ('\'', 4),
        None => {
            let (name, c) = ENTITIES.iter().find(|(name, _)| inside.starts_with(name))?;
            (*c, name.len())
        }
    };
    let semicolon = usize::from(inside[length..].starts_with(';'));
    Some((c, 1 + length + semicolon))
}

fn number_entity(text: &str) -> Option<(char, usize)> {
    let (prefix, radix) = if text.starts_with(['x', 'X']) { (1, 16) } else { (0, 10) };
    let digits = text[prefix..].chars().take_while(|c| c.is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let code = u32::from_str_radix(&text[prefix..prefix + digits], radix).ok();
    let c = code.filter(|&code| code > 0).and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((c, prefix + digits))
}

/// `urllib.parse.quote` of a text, or the query string of a mapping or of pairs.
fn url_encode(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => {
            value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect::<Result<_, Error>>()?
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |pair: Value| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?));
            value.try_iter()?.map(pair).collect::<Result<_, Error>>()?
        }
        _ => return quoted(state, value, false),
    };
    let marks = marks(state)?;
    let pair = |(key, value): &(Value, Value)| {
        Ok(quoted(state, key, true)? + &marks.strict_text("=") + &quoted(state, value, true)?)
    };
    let pairs: Vec<String> = pairs.iter().map(pair).collect::<Result<_, Error>>()?;
    Ok(pairs.join(&marks.strict_text("&")))
}

fn quoted(state: &State<'_, '_>, value: &Value, in_query: bool) -> Result<String, Error> {
    let text = text(state, value)?;
    let mut out = String::new();
    for (&marked, &plain) in text.marked.iter().zip(&text.plain) {
        match plain {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '-' | '~' => out.push(marked),
            '/' if !in_query => out.push(marked),
            ' ' if in_query => out.push(text.marks.mark('+')),
            _ => {
                for byte in plain.encode_utf8(&mut [0; 4]).bytes() {
                    out.push_str(&text.marks.strict_text(&format!("%{byte:02X}")));
                }
            }
        }
    }
    Ok(out)
}

/// ` key="value"` for each entry that is neither none nor undefined.
fn xml_attributes(state: &State<'_, '_>, map: &Value, with_blank: Option<bool>) -> Result<String, Error> {
    let marks = marks(state)?;
    let mut attributes = Vec::new();
    for key in map.try_iter()? {
        let value = map.get_item(&key)?;
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let name = python::text(state, &key)?;
        if marks.plain_characters(&name).any(|c| super::is_space(c) || "/>=".contains(c)) {
            let name = marks.plain_text(&name);
            return Err(failed(format!("`{name}` cannot be an attribute's name in `xmlattr`")));
        }
        let quote = |end: &str| marks.strict_text(end);
        attributes.push(escape(state, &key)? + &quote("=\"") + &escape(state, &value)? + &quote("\""));
    }
    let blank = marks.usual(' ').to_string();
    let begin = if attributes.is_empty() || with_blank == Some(false) { "" } else { &blank };
    Ok(begin.to_owned() + &attributes.join(&blank))
}
