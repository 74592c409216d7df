//! What must hold before a commit: tests, formats, lints and documentation.

use anyhow::Result;

use crate::setup::python;
use crate::shell::{cargo, program, run};
use crate::{guests, setup};

/// Guests are tested as guests, by `carafe-e2e`; as native libraries there is nothing to run in them. This program has no tests, and would
/// be built a second time in another profile.
const TESTED: [&str; 5] = [
    "--workspace",
    "--exclude=carafe-guest-text",
    "--exclude=carafe-guest-image",
    "--exclude=carafe-guest-hostile",
    "--exclude=xtask",
];

/// Every Rust and Python test.
pub(crate) fn test() -> Result<()> {
    prepare()?;
    // The end-to-end tests drive the binary, which building the tests does not build.
    run(&mut cargo(&["build", "--release", "--package", "carafe-cli"]))?;
    run(cargo(&["test", "--release", "--no-fail-fast"]).args(TESTED))?;
    run(program(python()).args(["-m", "pytest", "tools"]))
}

/// Formats, lints and documentation, warnings as errors.
pub(crate) fn lint() -> Result<()> {
    prepare()?;
    check()?;
    run(cargo(&["doc", "--release", "--no-deps", "--document-private-items"])
        .args(TESTED)
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    run(program(python()).args(["-m", "ruff", "check", "tools"]))?;
    run(program(python()).args(["-m", "ruff", "format", "--check", "tools"]))
}

/// The quick inner loop: formats and clippy. Needs guests, as everything that builds the host does.
pub(crate) fn check() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["clippy", "--release", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn prepare() -> Result<()> {
    setup::runtime()?;
    setup::tools()?;
    guests::build()
}
