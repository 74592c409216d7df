//! How an answer looks while it comes: text on standard output; what the model thinks before it,
//! dimmed on a terminal, and elsewhere on standard error, apart from the data.

use std::io::{self, IsTerminal};

use anyhow::Result;

use crate::output;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Where one answer is shown.
pub(super) struct Screen {
    is_terminal: bool,
    is_dim: bool,
    /// The last character that was shown; a newline before the first.
    last: char,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), is_dim: false, last: '\n' }
    }

    /// Shows some of what the model thinks.
    pub(super) fn reasoning(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.is_terminal {
            output::passed_on(text);
            return Ok(());
        }
        if !self.is_dim {
            self.is_dim = true;
            output::data(DIM)?;
        }
        self.show(text)
    }

    /// Shows some of the answer.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.brighten()?;
        self.show(text)
    }

    /// Ends the answer's last line.
    pub(super) fn end(&mut self) -> Result<()> {
        self.brighten()?;
        if self.last == '\n' { Ok(()) } else { self.show("\n") }
    }

    /// Leaves the thought for the answer, which begins on a line of its own.
    fn brighten(&mut self) -> Result<()> {
        if !self.is_dim {
            return Ok(());
        }
        self.is_dim = false;
        output::data(PLAIN)?;
        if self.last == '\n' { Ok(()) } else { self.show("\n") }
    }

    fn show(&mut self, text: &str) -> Result<()> {
        self.last = text.chars().next_back().unwrap_or(self.last);
        if self.is_terminal { output::data(&harmless(text)) } else { output::data(text) }
    }
}

/// A model's text without what a terminal would obey instead of showing it.
fn harmless(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() && !matches!(letter, '\n' | '\t') { '\u{fffd}' } else { letter };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_would_obey_is_not_sent_to_it() {
        assert_eq!(harmless("a\tb\n\x1b[2J\r\u{9b}31m"), "a\tb\n\u{fffd}[2J\u{fffd}\u{fffd}31m");
    }
}
