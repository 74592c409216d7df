//! What must hold before a commit: tests, formats, lints and documentation.

use anyhow::Result;
use clap::ValueEnum;

use crate::setup::python;
use crate::shell::{cargo, program, root, run};
use crate::{book, guests, native, setup};

/// Guests are tested as guests, by `carafe-e2e`; as native libraries there is nothing to run in
/// them. This program has no tests, and would be built a second time in another profile.
const TESTED: [&str; 5] = [
    "--workspace",
    "--exclude=carafe-guest-text",
    "--exclude=carafe-guest-image",
    "--exclude=carafe-guest-hostile",
    "--exclude=xtask",
];

/// Where JavaScript is.
const WEB_CODE: [&str; 2] = ["web", "crates/carafe-e2e"];

/// A part of the tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Every crate, and the binary from end to end.
    Rust,
    /// The Python tools, and the benchmark's arithmetic.
    Tools,
    /// The server with OpenAI's own clients and with frameworks that use its API, and with whatever
    /// its description permits.
    Clients,
    /// The page in Chromium; its looks are saved in target/screenshots.
    Browser,
}

/// Tests of these suites, or of all.
pub(crate) fn test(suites: &[Suite]) -> Result<()> {
    prepare()?;
    // The end-to-end tests drive the binaries, which building the tests does not build. With the
    // same packages named, features are the same, and nothing is built twice.
    run(cargo(&["build", "--release", "--bins"]).args(TESTED))?;
    let suites = if suites.is_empty() { Suite::value_variants() } else { suites };
    suites.iter().try_for_each(|suite| suite.test())
}

impl Suite {
    fn test(self) -> Result<()> {
        match self {
            Self::Rust => run(cargo(&["test", "--release", "--no-fail-fast"]).args(TESTED)),
            Self::Tools => {
                // JAX, which trains, crashes in a process in which LiteRT or OpenVINO has computed.
                let training = "tools/tests/test_train.py";
                run(program(python()).args(["-m", "pytest", "tools", "--ignore", training]))?;
                run(program(python()).args(["-m", "pytest", training]))?;
                run(program(python()).args(["-m", "pytest", "bench"]))
            }
            Self::Clients => {
                setup::clients()?;
                run(program(python()).args(["-m", "pytest", "crates/carafe-e2e/clients"]))?;
                node_tests("crates/carafe-e2e/clients")?;
                setup::frameworks()?;
                run(program(setup::frameworks_python()).args(["-m", "pytest", "crates/carafe-e2e/clients/frameworks"]))
            }
            Self::Browser => {
                setup::clients()?;
                node_tests("crates/carafe-e2e/browser")
            }
        }
    }
}

/// One file after the other: each starts a server, and there may be few processors.
fn node_tests(folder: &str) -> Result<()> {
    run(program("node").args(["--test", "--test-concurrency=1", "--test-reporter=spec", folder]))
}

/// Formats, lints and documentation, warnings as errors.
pub(crate) fn lint() -> Result<()> {
    prepare()?;
    check()?;
    native::lint()?;
    run(cargo(&["doc", "--release", "--no-deps", "--document-private-items"])
        .args(TESTED)
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    let python_code = ["tools", "bench", "container", "crates/carafe-e2e"];
    run(program(python()).args(["-m", "ruff", "check"]).args(python_code))?;
    run(program(python()).args(["-m", "ruff", "format", "--check"]).args(python_code))?;
    book::links()?;
    setup::clients()?;
    let eslint = root().join("crates/carafe-e2e/node_modules/.bin/eslint");
    run(program(eslint).args(["--config", "crates/carafe-e2e/eslint.config.mjs", "--max-warnings", "0"]).args(WEB_CODE))
}

/// The quick inner loop: formats and clippy. Needs guests, as everything that builds the host does.
pub(crate) fn check() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn prepare() -> Result<()> {
    setup::runtime()?;
    setup::tools()?;
    guests::build()
}
