//! Python's two ways to format, `%` and `{}`, by the engine, with what they may write bounded
//! before it is written: a width of nine digits is a gigabyte.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Error, State, Value};

use super::engine::charge;
use super::methods::failed;

/// The widest that a value may be made.
const MAX_WIDTH: usize = 10_000;

/// The filter `format`.
pub(super) fn filter(state: &State<'_, '_>, text: &str, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    formatted(state, FormatStyle::Printf, text, &args.into_values())
}

/// A text with values in it.
pub(super) fn formatted(
    state: &State<'_, '_>,
    style: FormatStyle,
    text: &str,
    args: &[Value],
) -> Result<String, Error> {
    let field = if matches!(style, FormatStyle::Printf) { '%' } else { '{' };
    let digits = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let written = digits.map(|digits| digits.parse().unwrap_or(usize::MAX));
    // A width may also be an argument.
    let given = args.iter().filter_map(Value::as_usize).filter(|_| text.contains('*') || text.contains("{:{"));
    let width = written.chain(given).max().unwrap_or(0);
    if width > MAX_WIDTH {
        return Err(failed(format!("a format asks for a width of {width}; at most {MAX_WIDTH} is taken")));
    }
    let length = |value: &Value| match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Number | ValueKind::Bool | ValueKind::None | ValueKind::Undefined => MAX_NUMBER,
        _ => value.to_string().len(),
    };
    let longest = args.iter().map(length).max().unwrap_or(0).max(width);
    charge(state, text.len().saturating_add(text.matches(field).count().saturating_mul(longest)))?;
    format(style, text, args)
}

/// As much as the longest number takes, a float that is written out.
const MAX_NUMBER: usize = 320;
