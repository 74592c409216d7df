//! Running programs: from the project's root, with a word before and the time after, and an error
//! that names the command.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The project's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A program that runs in the project's root.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// The `carafe` that was just built, wherever cargo has put it.
pub(crate) fn carafe() -> Command {
    cargo(&["run", "--release", "--quiet", "--package", "carafe-cli", "--"])
}

/// Runs a command that shows its own output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start `{}`", words(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", words(command));
    }
    Ok(())
}

/// Runs a command and returns what it prints; its own words are in the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to start `{}`", words(command)))?;
    checked(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command that shows its progress on standard output, as pip does; it goes to this
/// program's standard error. What the command says on its own is in the error if it fails.
pub(crate) fn watch(command: &mut Command) -> Result<()> {
    let child = command.stdout(io::stderr()).stderr(Stdio::piped()).spawn();
    let output = child.and_then(std::process::Child::wait_with_output);
    checked(command, &output.with_context(|| format!("failed to start `{}`", words(command)))?)
}

fn checked(command: &Command, output: &Output) -> Result<()> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{}", words(command), output.status, said.trim_end());
    }
    Ok(())
}

/// How long nothing may be said while something is done.
const SILENCE: Duration = Duration::from_secs(30);

/// As [`step`], for work of minutes: says before it what it usually takes, and on the way how long
/// it has taken.
pub(crate) fn long_step<T>(what: &str, usually: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    report(&format!("{what}: {usually}"));
    let started = Instant::now();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Ends when the other end is gone, however the work ended.
            while is_done.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
                report(&format!("{what}: {} s so far", started.elapsed().as_secs()));
            }
        });
        let result = step(what, work);
        drop(done);
        result
    })
}

/// Says what is done, does it, and says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    report(&format!("{what} …"));
    let started = Instant::now();
    let result = work().with_context(|| format!("failed: {what}"))?;
    report(&format!("{what}: {:.1} s", started.elapsed().as_secs_f64()));
    Ok(result)
}

#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
pub(crate) fn report(line: &str) {
    eprintln!("xtask: {line}");
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
