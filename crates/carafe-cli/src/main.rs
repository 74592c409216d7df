//! `carafe`: OpenVINO models from inside a WebAssembly sandbox, on the command line.
//!
//! Data goes to standard output, everything else to standard error. `arguments` declares the flags and `environment` the variables;
//! each command is a module of its own: `generate`, `classify`, `tokenize`, `models`. What they share is in `machine` (finding and
//! loading) and `output` (printing).

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

mod arguments;
mod classify;
mod environment;
mod generate;
mod machine;
mod models;
mod output;
mod tokenize;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::start_log(arguments.verbose);
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Generate(options) => generate::run(options),
        Command::Classify(options) => classify::run(options),
        Command::Tokenize(options) => tokenize::run(options),
        Command::Models(options) => models::run(options),
    }
}
