//! Every developer command of Carafe: `cargo xtask COMMAND`.
//!
//! - `setup`: the native library, the tools' packages and the guest toolchain, each only if it is missing
//! - `guests`: the guests as WebAssembly components
//! - `demo`: sets up, builds and shows both models at work
//! - `test`, `lint`, `check`: what must hold before a commit
//!
//! The modules follow these words; `shell` runs programs and reports what they took.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod guests;
mod quality;
mod setup;
mod shell;
mod show;

/// Developer commands of Carafe.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Get what is missing: OpenVINO, the tools' Python packages, the guest toolchain, the guests.
    Setup,
    /// Build the guests as components into guests/built.
    Guests,
    /// Set up, build, classify a bundled image and generate 64 tokens.
    Demo,
    /// Set up, then run every Rust and Python test.
    Test,
    /// Formats, clippy, documentation and Python lints, warnings as errors.
    Lint,
    /// The quick inner loop: formats and clippy.
    Check,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::report(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Setup => {
            setup::runtime()?;
            setup::tools()?;
            guests::build()
        }
        Command::Guests => guests::build(),
        Command::Demo => show::demo(),
        Command::Test => quality::test(),
        Command::Lint => quality::lint(),
        Command::Check => quality::check(),
    }
}
