//! Carafe at work: what a newcomer sees first.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::shell::{carafe, cargo, long_step, report, run};
use crate::{default_model, guests, setup};

/// What building the program takes; most of it is wasmtime's compiler, and cargo shows how far it
/// is.
pub(crate) const BUILD_TIME: &str =
    "seven to nine minutes the first time on two cores, seconds when nothing has changed";

/// What the demo asks.
const QUESTION: &str = "What is the capital of France?";

/// Sets up what is missing, builds, and becomes the server: a Ctrl-C or a SIGTERM reaches it
/// directly.
pub(crate) fn serve(flags: &[OsString]) -> Result<()> {
    build()?;
    if !names_models(flags) {
        default_model::set_up();
    }
    Err(carafe().arg("serve").args(flags).exec()).context("failed to start cargo")
}

/// Whether it is said which models to serve, so that the default one need not be made.
fn names_models(flags: &[OsString]) -> bool {
    let is_model = |flag: &OsString| flag == "--model" || flag.to_string_lossy().starts_with("--model=");
    flags.iter().any(is_model) || env::var_os("CARAFE_MODEL").is_some_and(|names| !names.is_empty())
}

/// Sets up what is missing, builds, and runs all models.
pub(crate) fn demo() -> Result<()> {
    build()?;
    let has_default_model = default_model::set_up();
    show(&["classify", "images/cat_720p.jpg"])?;
    show(&["generate", "--prompt", "Once upon a time", "--max-tokens", "64", "--temperature", "0.7", "--seed", "7"])?;
    if has_default_model { ask() } else { Ok(()) }
}

/// Asks the default model a question, on the standard input of a conversation.
fn ask() -> Result<()> {
    let arguments = ["chat", "--model", default_model::NAME, "--temperature", "0"];
    report(&format!("echo '{QUESTION}' | carafe {}", arguments.join(" ")));
    let (question, mut asking) = io::pipe()?;
    writeln!(asking, "{QUESTION}")?;
    drop(asking);
    run(carafe().args(arguments).stdin(question))
}

/// What runs models: OpenVINO, the guests, the program.
pub(crate) fn build() -> Result<()> {
    setup::runtime()?;
    guests::build()?;
    long_step("build carafe", BUILD_TIME, || run(&mut cargo(&["build", "--release", "--package", "carafe-cli"])))
}

fn show(arguments: &[&str]) -> Result<()> {
    report(&format!("carafe {}", arguments.join(" ")));
    run(carafe().args(arguments))
}
