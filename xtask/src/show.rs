//! Carafe at work: what a newcomer sees first.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::shell::{cargo, long_step, report, run};
use crate::{guests, setup};

/// What building the program takes; most of it is wasmtime's compiler, and cargo shows how far it
/// is.
pub(crate) const BUILD_TIME: &str = "about seven minutes the first time on two cores, seconds when nothing has changed";

/// Sets up what is missing, builds, and becomes the server: a Ctrl-C or a SIGTERM reaches it
/// directly.
pub(crate) fn serve(flags: &[OsString]) -> Result<()> {
    build()?;
    let mut server = cargo(&["run", "--release", "--quiet", "--package", "carafe-cli", "--", "serve"]);
    Err(server.args(flags).exec()).context("failed to start cargo")
}

/// Sets up what is missing, builds, and runs both models.
pub(crate) fn demo() -> Result<()> {
    build()?;
    carafe(&["classify", "images/cat_720p.jpg"])?;
    carafe(&["generate", "--prompt", "Once upon a time", "--max-tokens", "64", "--temperature", "0.7", "--seed", "7"])
}

/// What runs models: OpenVINO, the guests, the program.
pub(crate) fn build() -> Result<()> {
    setup::runtime()?;
    guests::build()?;
    long_step("build carafe", BUILD_TIME, || run(&mut cargo(&["build", "--release", "--package", "carafe-cli"])))
}

/// Runs the binary that was just built, wherever cargo has put it.
fn carafe(arguments: &[&str]) -> Result<()> {
    report(&format!("carafe {}", arguments.join(" ")));
    run(cargo(&["run", "--release", "--quiet", "--package", "carafe-cli", "--"]).args(arguments))
}
