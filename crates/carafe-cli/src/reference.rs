//! `carafe reference`: the parts of the book that follow from the program, made of the same
//! declarations that parse flags and answer requests.
//!
//! `cargo xtask reference` puts them into `docs/`, and a test compares.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, Command, CommandFactory};

use crate::arguments::{Arguments, Reference};
use crate::output;

const HEAD: &str = "\
# Command line

Every command and flag of `carafe`, written by `cargo xtask reference` from the program's own declarations. `carafe COMMAND --help` shows the same.
A flag goes before its environment variable; [Configuration](configuration.md) has the variables without a flag, and the rules.
";

/// Prints a part of the book.
pub(crate) fn run(what: Reference) -> Result<ExitCode> {
    let text = match what {
        Reference::CommandLine => command_line()?,
        Reference::Openapi => carafe_server::openapi_document(),
    };
    output::data(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn command_line() -> Result<String> {
    let mut command = Arguments::command();
    command.build();
    let mut text = HEAD.to_owned();
    section(&mut text, &command)?;
    Ok(text)
}

/// A command's section, and those of its commands.
fn section(text: &mut String, command: &Command) -> Result<()> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    write!(text, "\n## `{name}`\n")?;
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        write!(text, "\n{}\n", flowing(&about.to_string()))?;
    }
    let usage = command.clone().render_usage().to_string();
    write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage:").trim())?;
    let commands: Vec<&Command> = command.get_subcommands().filter(|command| is_shown(command)).collect();
    table(text, &rows(command))?;
    if let Some(help) = command.get_after_help() {
        write!(text, "\n```text\n{}\n```\n", help.to_string().trim_end())?;
    }
    commands.into_iter().try_for_each(|command| section(text, command))
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// What can be given, but for `--help`, and `--verbose` below the program itself.
fn rows(command: &Command) -> Vec<&Arg> {
    let is_program = !command.get_bin_name().unwrap_or_default().contains(' ');
    let is_own = |arg: &&Arg| match arg.get_id().as_str() {
        "help" => false,
        "verbose" | "version" => is_program,
        _ => !arg.is_hide_set(),
    };
    command.get_arguments().filter(is_own).collect()
}

fn table(text: &mut String, args: &[&Arg]) -> Result<()> {
    if args.is_empty() {
        return Ok(());
    }
    text.push_str("\n| flag | what it does | default | variable |\n|---|---|---|---|\n");
    for arg in args {
        let (meaning, default) = meaning_and_default(arg);
        let variable = arg.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
        writeln!(text, "| `{}` | {meaning} | {default} | {} |", spelled(arg), code(&variable))?;
    }
    Ok(())
}

/// A flag as it is written, with its value.
fn spelled(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = if arg.get_action().takes_values() { names.join(" ") } else { String::new() };
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (_, Some(long)) => format!("--{long}"),
        (..) => return value,
    };
    format!("{flag} {value}").trim_end().to_owned()
}

/// The help with the values that there are to choose from, and the default: the declared one, or
/// the one that ends the help in brackets.
fn meaning_and_default(arg: &Arg) -> (String, String) {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = flowing(&help).replace('|', "\\|");
    if !arg.get_action().takes_values() {
        return (help, String::new());
    }
    let told = help.strip_suffix(']').and_then(|help| help.rsplit_once(" [default: "));
    let (help, default) = told.map(|(help, default)| (help.to_owned(), default.to_owned())).unwrap_or_else(|| {
        let declared: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        (help.clone(), code(&declared.join(",")))
    });
    let values: Vec<String> = arg.get_possible_values().iter().map(value).collect();
    let help = if values.is_empty() { help } else { format!("{help}. {}", values.join("; ")) };
    (help, default)
}

fn value(value: &clap::builder::PossibleValue) -> String {
    let help = value.get_help().map(|help| format!(": {}", flowing(&help.to_string()))).unwrap_or_default();
    format!("`{}`{help}", value.get_name())
}

/// Help without the line breaks of its source.
fn flowing(help: &str) -> String {
    help.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
