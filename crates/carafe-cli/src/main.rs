//! `carafe`: OpenVINO models from inside a WebAssembly sandbox, on the command line.
//!
//! Data goes to standard output, everything else to standard error. `arguments` declares the flags
//! and `environment` the variables; each command is a module of its own: `serve`, `chat`,
//! `generate`, `classify`, `tokenize`, `models`, `health`, `bench`; `manual` writes what goes with
//! an installation, `reference` what goes into the book. What they share is in `machine` (finding and loading), `pinning` (of threads)
//! and `output` (printing).

use std::process::ExitCode;

use arguments::{Arguments, Command, LogForm};

mod arguments;
mod bench;
mod bytes;
mod chat;
mod classify;
mod environment;
mod generate;
mod health;
mod machine;
mod manual;
mod models;
mod output;
mod pinning;
mod reference;
mod resources;
mod serve;
mod tokenize;

fn main() -> ExitCode {
    let service_links = environment::service_links();
    let arguments = Arguments::read(&service_links);
    start_log(&arguments);
    match environment::refuse_unknown(&service_links).and_then(|()| run(&arguments)) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// A server tells what it does; other commands only what goes wrong.
fn start_log(arguments: &Arguments) {
    match &arguments.command {
        Command::Serve(options) => output::start_log(arguments.verbose + 1, options.log),
        _ => output::start_log(arguments.verbose, LogForm::Human),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Serve(options) => serve::run(options),
        Command::Chat(options) => chat::run(options),
        Command::Generate(options) => generate::run(options),
        Command::Classify(options) => classify::run(options),
        Command::Tokenize(options) => tokenize::run(options),
        Command::Models(options) => models::run(options),
        Command::Health(options) => health::run(options),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Manual { folder } => manual::pages(folder),
        Command::Reference { what } => reference::run(*what),
        Command::Bench(options) => bench::run(options),
    }
}
