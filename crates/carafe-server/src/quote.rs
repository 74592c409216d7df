//! How an error repeats what a client sent: its beginning, with nothing in it that a terminal or a
//! log would obey.
//!
//! Every message that holds a client's text gets it from here. What the log may hold is decided in
//! `error` and `record`.

/// The most characters of one text that are repeated.
const MAX_SHOWN: usize = 64;

/// The most characters of a message that is made elsewhere, by a guest say, and may repeat its
/// input.
const MAX_MESSAGE: usize = 1000;

/// A client's text between backticks; of a long one the beginning and its length.
pub(crate) fn quoted(text: &str) -> String {
    let shown = beginning(text, MAX_SHOWN);
    if is_longer(text, MAX_SHOWN) { format!("`{shown}` ({} bytes)", text.len()) } else { format!("`{shown}`") }
}

/// The beginning of a client's text, without backticks, for places that hold a name and nothing
/// else.
pub(crate) fn name(text: &str) -> String {
    beginning(text, MAX_SHOWN)
}

/// A message that is made elsewhere.
pub(crate) fn message(text: &str) -> String {
    beginning(text, MAX_MESSAGE)
}

fn is_longer(text: &str, limit: usize) -> bool {
    text.chars().nth(limit).is_some()
}

/// At most `limit` characters, then `…` if there were more. Characters that cannot be seen are
/// escaped: control characters, and those that turn the direction of writing, would make another
/// text of the message.
fn beginning(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(limit) {
        match letter {
            '\\' | '\'' | '"' => shown.push(letter),
            letter => shown.extend(letter.escape_debug()),
        }
    }
    if is_longer(text, limit) {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_its_length_said() {
        assert_eq!(quoted("short"), "`short`");
        assert_eq!(quoted(&"ä".repeat(64)), format!("`{}`", "ä".repeat(64)));
        assert_eq!(quoted(&"ä".repeat(65)), format!("`{}…` (130 bytes)", "ä".repeat(64)));
        assert!(quoted(&"\u{1}".repeat(4 << 20)).len() < 500);
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(quoted("a\n\u{1b}[31m\u{202e}b\u{0}"), "`a\\n\\u{1b}[31m\\u{202e}b\\0`");
        assert_eq!(quoted("it's \"so\" \\"), "`it's \"so\" \\`");
    }
}
