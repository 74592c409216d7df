//! The flags of `carafe`, with the help that they print.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

mod bench;
mod models;
mod running;
mod serving;
mod using;

pub(crate) use bench::Bench;
pub(crate) use models::{Add, Making, Models, ModelsCommand, Pull, Verify};
pub(crate) use running::{CpuPinning, ModelDirectories, Running};
pub(crate) use serving::{Health, LogForm, Serve};
pub(crate) use using::{Chat, Classify, Generate, SamplingOptions, Tokenize};

/// OpenVINO models from inside a WebAssembly sandbox.
#[derive(Parser)]
#[command(name = "carafe", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Log what is loaded and how, to standard error. Give it twice to log every call.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  carafe serve
  carafe chat
  carafe generate --prompt 'Once upon a time'
  echo 'The fox' | carafe generate --temperature 0 --max-tokens 20
  carafe classify picture.jpg --top 3
  carafe tokenize 'Hello, world'
  carafe models list
  carafe models add model.gguf
  carafe models pull gpt2
  carafe bench --concurrent 1,4,16 --explain

Environment:
  CARAFE_MODELS    folders of model folders, separated like PATH
  CARAFE_OPENVINO  OpenVINO's library, or the folder of an installation
  Most flags have a variable of their own; `carafe COMMAND --help` shows it.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve models over HTTP, with OpenAI's API and a web page.
    Serve(Serve),
    /// Talk to a model, streaming.
    Chat(Chat),
    /// Continue a text, streaming.
    Generate(Generate),
    /// Classify pictures.
    Classify(Classify),
    /// Turn text into token ids, or token ids into text.
    Tokenize(Tokenize),
    /// List, show, add, fetch, remove and verify models.
    Models(Models),
    /// Ask a running server whether it is ready; the answer is the exit code.
    Health(Health),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Manual {
        /// The folder, which must exist.
        folder: PathBuf,
    },
    /// Print a part of the book that follows from the program.
    #[command(hide = true)]
    Reference {
        /// The part.
        #[arg(value_enum)]
        what: Reference,
    },
    /// Measure a model on this machine, in this process.
    #[command(after_help = bench::HELP)]
    Bench(Bench),
}

/// Parts of the book that follow from the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reference {
    /// Commands and flags, as Markdown.
    CommandLine,
    /// The description of the HTTP API, as JSON.
    Openapi,
}

impl Arguments {
    /// Reads the command line, and the environment but for the variables of these names. Ends the
    /// program if they cannot be understood.
    pub(crate) fn read(passed_over: &[String]) -> Self {
        let command = without_variables(Self::command(), passed_over);
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }
}

/// The command with no flag that stands for one of these variables.
fn without_variables(command: clap::Command, names: &[String]) -> clap::Command {
    let is_named =
        |arg: &clap::Arg| arg.get_env().is_some_and(|variable| names.iter().any(|name| variable == name.as_str()));
    let command = command.mut_args(|arg| if is_named(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(|command| without_variables(command, names))
}
