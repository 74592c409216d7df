//! Findings: what was found, how grave it is, and what to do.

use std::io::{self, IsTerminal};

use anyhow::Result;
use serde_json::{Value, json};

use crate::output;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// As it should be.
    Good,
    /// Worth knowing, neither good nor bad.
    Note,
    /// Something does not work, and the server can serve all the same.
    Warning,
    /// The server cannot serve.
    Error,
}

/// One thing that was found.
pub(super) struct Finding {
    status: Status,
    text: String,
    remedy: Option<String>,
    /// The same for programs.
    facts: Value,
}

/// Findings about one thing.
pub(super) struct Topic {
    /// As JSON names it.
    name: &'static str,
    title: &'static str,
    findings: Vec<Finding>,
}

impl Finding {
    /// A finding without a remedy.
    pub(super) fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), remedy: None, facts: Value::Null }
    }

    /// An error; what its text gives as a hint is the remedy.
    pub(super) fn of_error(status: Status, error: impl Into<anyhow::Error>) -> Self {
        let text = format!("{:#}", error.into());
        match text.split_once("\nhint: ") {
            Some((text, remedy)) => Self::new(status, text).with_remedy(remedy),
            None => Self::new(status, text),
        }
    }

    /// The same with what to do.
    pub(super) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The same with what to do, unless that is known already.
    pub(super) fn or_remedy(self, remedy: &str) -> Self {
        let remedy = self.remedy.unwrap_or_else(|| remedy.to_owned());
        Self { remedy: Some(remedy), ..self }
    }

    /// The same with facts for programs: an object.
    pub(super) fn with_facts(self, facts: Value) -> Self {
        Self { facts, ..self }
    }

    fn print(&self) -> Result<()> {
        output::line(&format!("  {} {}", self.status.mark(), indented(&self.text)))?;
        let remedy = self.remedy.as_ref().map(|remedy| format!("    → {}", indented(remedy)));
        remedy.map_or(Ok(()), |remedy| output::line(&remedy))
    }

    fn as_json(&self) -> Value {
        let mut entry = json!({ "status": self.status.name(), "text": self.text, "remedy": self.remedy });
        if let (Some(entry), Some(facts)) = (entry.as_object_mut(), self.facts.as_object()) {
            entry.extend(facts.clone());
        }
        entry
    }
}

impl Topic {
    /// What was found of this.
    pub(super) fn new(name: &'static str, title: &'static str, findings: Vec<Finding>) -> Self {
        Self { name, title, findings }
    }

    /// Whether one of the findings is as grave as that.
    pub(super) fn has(&self, status: Status) -> bool {
        self.findings.iter().any(|finding| finding.status == status)
    }

    pub(super) fn print(&self) -> Result<()> {
        output::line(&format!("\n{}", self.title))?;
        self.findings.iter().try_for_each(Finding::print)
    }

    pub(super) fn as_json(&self) -> Value {
        json!({ "topic": self.name, "findings": self.findings.iter().map(Finding::as_json).collect::<Vec<_>>() })
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Coloured on a terminal, where the shape alone would be enough.
    fn mark(self) -> String {
        let (mark, colour) = match self {
            Self::Good => ("✓", 32),
            Self::Note => ("·", 2),
            Self::Warning => ("!", 33),
            Self::Error => ("✗", 31),
        };
        if io::stdout().is_terminal() { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() }
    }
}

/// A text whose later lines stand below its first.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}
