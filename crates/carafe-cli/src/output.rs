//! The one module that prints: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Read, Write};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tracing::Level;

use crate::arguments::LogForm;

/// Sends the log to standard error: warnings, or more if asked.
pub(crate) fn start_log(verbose: u8, form: LogForm) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    let terminal = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(terminal);
    if form == LogForm::Json || (form == LogForm::Auto && !terminal) { log.json().init() } else { log.init() }
}

/// Prints a line of data.
pub(crate) fn line(text: &str) -> Result<()> {
    data(&format!("{text}\n"))
}

/// Prints data as it is, at once.
pub(crate) fn data(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("failed to write to standard output")
}

/// Prints data as JSON, for people to read as well.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a line for the person at the terminal.
pub(crate) fn note(text: &str) {
    // There is nobody left to tell if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a text as it is to standard error, where it is no data.
pub(crate) fn passed_on(text: &str) {
    // There is nobody left to tell if standard error is closed.
    let _ = write!(io::stderr().lock(), "{text}");
}

/// Shows a text on the terminal that the next one replaces.
pub(crate) fn passing(text: &str) {
    let _ = write!(io::stderr().lock(), "\r{text}\x1b[K");
}

/// The same for what takes seconds; without a terminal nothing is shown.
pub(crate) fn passing_note(text: &str) {
    if io::stderr().is_terminal() {
        passing(text);
    }
}

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("carafe: {error:#}"));
}

/// Standard input as text; refused on a terminal, where it would wait for what nobody knows to
/// type.
pub(crate) fn standard_input(flag: &str) -> Result<String> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        bail!("no text: give {flag}, or pipe one to standard input");
    }
    let mut text = String::new();
    input.read_to_string(&mut text).context("failed to read standard input as UTF-8")?;
    Ok(text)
}

/// Many bytes as people read them.
pub(crate) fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Bytes as people read them.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
