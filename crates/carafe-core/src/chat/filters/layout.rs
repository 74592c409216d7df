//! Filters that lay text out: `center`, `indent`, `truncate`, `wordwrap`, `wordcount` and
//! `filesizeformat`.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::wrap::{Wrap, is_word};
use super::{Arguments, text};
use crate::chat::engine::{charge, marks};
use crate::chat::methods::failed;

pub(super) fn add(env: &mut Environment<'_>) {
    env.add_filter("center", |state: &State<'_, '_>, value: &Value, width: Option<usize>| {
        text(state, value)?.pad(state, "center", width.unwrap_or(80), None)
    });
    env.add_filter("indent", indent);
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", word_wrap);
    env.add_filter("wordcount", |state: &State<'_, '_>, value: &Value| {
        let words = text(state, value)?;
        Ok::<_, Error>(words.plain.split(|&c| !is_word(c)).filter(|word| !word.is_empty()).count())
    });
    env.add_filter("filesizeformat", file_size);
}

fn indent(state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let width = arguments.get(0, "width")?.unwrap_or_else(|| Value::from(4));
    let first = arguments.flag(1, "first", false)?;
    let blank = arguments.flag(2, "blank", false)?;
    arguments.finish(3)?;
    let marks = marks(state)?;
    let indention = match width.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let width = usize::try_from(width)?;
            charge(state, width)?;
            marks.usual_text(&" ".repeat(width))
        }
    };
    let text = text(state, value)?;
    let mut lines = text.lines();
    // Jinja2 adds a line feed first, so that one at the end is kept.
    if text.plain.is_empty() || lines.last().is_some_and(|&(_, to, next)| to < next) {
        let end = text.plain.len();
        lines.push((end, end, end));
    }
    charge(state, indention.len().saturating_mul(lines.len()))?;
    let newline = marks.usual('\n');
    let mut out = if first { indention.clone() } else { String::new() };
    for (number, &(from, to, _)) in lines.iter().enumerate() {
        if number > 0 {
            out.push(newline);
            if blank || from < to {
                out.push_str(&indention);
            }
        }
        out.extend(&text.marked[from..to]);
    }
    Ok(out)
}

fn truncate(state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let length = arguments.length(0, "length", 255)?;
    let kill_words = arguments.flag(1, "killwords", false)?;
    let marks = marks(state)?;
    let end = match arguments.get(2, "end")? {
        Some(end) => end.to_string(),
        None => marks.strict_text("..."),
    };
    let leeway = arguments.get(3, "leeway")?.filter(|leeway| !leeway.is_none());
    let leeway = leeway.map_or(Ok(5), usize::try_from)?;
    arguments.finish(4)?;
    let text = text(state, value)?;
    let room = length.checked_sub(end.chars().count());
    let room = room.ok_or_else(|| failed(format!("`truncate` to {length} characters has no room for its end")))?;
    if text.marked.len() <= length.saturating_add(leeway) {
        return Ok(text.marked.iter().collect());
    }
    let blank = text.plain[..room].iter().rposition(|&c| c == ' ').filter(|_| !kill_words);
    Ok(text.marked[..blank.unwrap_or(room)].iter().collect::<String>() + &end)
}

fn word_wrap(state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let width = arguments.length(0, "width", 79)?;
    let break_long_words = arguments.flag(1, "break_long_words", true)?;
    let marks = marks(state)?;
    let newline = match arguments.get(2, "wrapstring")?.filter(|text| !text.is_none()) {
        Some(text) => text.to_string(),
        None => marks.usual_text("\n"),
    };
    let break_on_hyphens = arguments.flag(3, "break_on_hyphens", true)?;
    arguments.finish(4)?;
    if width == 0 {
        return Err(failed("`wordwrap` needs a width of 1 or more"));
    }
    let text = text(state, value)?;
    let wrap = Wrap { width, break_long_words, break_on_hyphens };
    let mut out = String::new();
    for (number, (from, to, _)) in text.lines().into_iter().enumerate() {
        let lines = wrap.lines(&text.plain[from..to]);
        charge(state, newline.len().saturating_mul(lines.len() + 1))?;
        // A line without words stays as an empty one.
        let lines = if lines.is_empty() { vec![(0, 0)] } else { lines };
        for (part, (begin, end)) in lines.into_iter().enumerate() {
            if number + part > 0 {
                out.push_str(&newline);
            }
            out.extend(&text.marked[from + begin..from + end]);
        }
    }
    Ok(out)
}

fn file_size(state: &State<'_, '_>, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut arguments = Arguments::read(args)?;
    let binary = arguments.flag(0, "binary", false)?;
    arguments.finish(1)?;
    let marks = marks(state)?;
    let bytes = match value.as_str() {
        Some(text) => marks.plain_text(text).trim().parse().map_err(|_| failed("`filesizeformat` needs a number"))?,
        None => f64::try_from(value.clone())?,
    };
    let (base, suffix) = if binary { (1024.0, "iB") } else { (1000.0, "B") };
    if bytes == 1.0 {
        return Ok(marks.strict_text("1 Byte"));
    }
    if bytes < base {
        return Ok(marks.strict_text(&format!("{} Bytes", bytes.trunc())));
    }
    let units = [if binary { "K" } else { "k" }, "M", "G", "T", "P", "E", "Z", "Y"];
    let mut scaled = bytes / base;
    let mut unit = 0;
    while scaled >= base && unit + 1 < units.len() {
        scaled /= base;
        unit += 1;
    }
    Ok(marks.strict_text(&format!("{scaled:.1} {}{suffix}", units[unit])))
}
