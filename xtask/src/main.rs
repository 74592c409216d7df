//! Every developer command of Carafe: `cargo xtask COMMAND`.
//!
//! - `setup`: the native library, the tools' packages and the guest toolchain, each only if it is
//!   missing
//! - `guests`: the guests as WebAssembly components
//! - `serve`: sets up, builds and starts the server with its web page, and before the first start
//!   makes the default model
//! - `demo`: the same for the models on the command line
//! - `install`, `uninstall`: everything that `carafe` needs, into a folder like `~/.local`
//! - `bench`: measures Carafe and its peers side by side
//! - `book`, `links`, `reference`, `screenshots`: the documents
//! - `test`, `lint`, `check`: what must hold before a commit
//!
//! The modules follow these words; `default_model` makes the model that answers a newcomer, `shell`
//! runs programs and reports what they took.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quality::Suite;

mod bench;
mod book;
mod default_model;
mod guests;
mod install;
mod native;
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
    /// Set up, build and start the server with its web page on http://127.0.0.1:3000. The first time
    /// it also fetches and makes the default model, unless --model names others.
    Serve {
        /// Flags of `carafe serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
    /// Set up, build, classify a bundled image, continue a text, and ask the default model a question.
    Demo,
    /// Install the program, the bundled models, OpenVINO, the conversion tools, manual pages and
    /// completions.
    Install {
        /// Where to; the program becomes PREFIX/bin/carafe [default: ~/.local].
        #[arg(long)]
        prefix: Option<PathBuf>,
        /// Leave out the conversion tools, which `carafe models add` and `pull` need, and their Python.
        #[arg(long)]
        without_tools: bool,
    },
    /// Remove what `install` installed, and nothing else.
    Uninstall {
        /// As given to `install`.
        #[arg(long)]
        prefix: Option<PathBuf>,
    },
    /// Install the peers, build, and measure side by side; `cargo xtask bench --help` shows the
    /// flags.
    #[command(disable_help_flag = true)]
    Bench {
        /// Flags of the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
    /// Set up, then run every test, or those of some suites.
    Test {
        /// Suites to run.
        #[arg(value_enum)]
        suites: Vec<Suite>,
    },
    /// Build the book of docs/ into target/book/html, and check its links.
    Book,
    /// Check the links between the tree's documents, anchors included.
    Links,
    /// Write what follows from the program into docs/: command-line.md and openapi.json.
    Reference,
    /// Take the README's pictures of the page: docs/images/page-light.png and page-dark.png.
    Screenshots,
    /// Formats, clippy, documentation, links and Python lints, warnings as errors.
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
        Command::Serve { flags } => show::serve(flags),
        Command::Demo => show::demo(),
        Command::Install { prefix, without_tools } => install::install(prefix.as_deref(), !without_tools),
        Command::Uninstall { prefix } => install::uninstall(prefix.as_deref()),
        Command::Bench { flags } => bench::bench(flags),
        Command::Test { suites } => quality::test(suites),
        Command::Book => book::book(),
        Command::Links => book::links(),
        Command::Reference => book::reference(),
        Command::Screenshots => book::screenshots(),
        Command::Lint => quality::lint(),
        Command::Check => quality::check(),
    }
}
