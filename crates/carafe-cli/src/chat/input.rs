//! Where lines come from: a person at a terminal, who can edit them, or standard input as it is.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::output;

const PROMPT: &str = "> ";

/// A source of lines.
pub(super) enum Input {
    /// A terminal, whose lines can be edited and found again by the arrow keys.
    Terminal(Box<DefaultEditor>),
    /// Anything else.
    Lines,
}

/// What came of it.
pub(super) enum Entered {
    Line(String),
    /// Ctrl-C at the prompt.
    Interrupt,
    /// Ctrl-D, or the end of standard input.
    End,
}

impl Input {
    /// Standard input. Where answers go to a file, a line editor's prompts do not belong.
    pub(super) fn open() -> Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self::Lines);
        }
        Ok(Self::Terminal(Box::new(DefaultEditor::new().context("failed to use the terminal")?)))
    }

    /// Whether a person sits there.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Waits for the next line.
    pub(super) fn next(&mut self) -> Result<Entered> {
        match self {
            Self::Terminal(editor) => edited(editor),
            Self::Lines => piped(),
        }
    }
}

fn edited(editor: &mut DefaultEditor) -> Result<Entered> {
    match editor.readline(PROMPT) {
        Ok(line) => {
            // It only fails to be found again by the arrow keys.
            let _ = editor.add_history_entry(&line);
            Ok(Entered::Line(line))
        }
        Err(ReadlineError::Interrupted) => Ok(Entered::Interrupt),
        Err(ReadlineError::Eof) => Ok(Entered::End),
        // A stray byte must not end a conversation.
        Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            output::note("the line is no UTF-8, and nothing was sent");
            Ok(Entered::Line(String::new()))
        }
        Err(error) => Err(error).context("failed to read from the terminal"),
    }
}

fn piped() -> Result<Entered> {
    let mut line = String::new();
    let count = io::stdin().lock().read_line(&mut line).context("failed to read standard input as UTF-8")?;
    Ok(if count == 0 { Entered::End } else { Entered::Line(line) })
}
