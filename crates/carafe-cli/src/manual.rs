//! Manual pages and shell completions, made of the same declarations that parse the flags.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::output;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "carafe", &mut script);
    output::data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `carafe.1` and a page for each command into a folder.
pub(crate) fn pages(folder: &Path) -> Result<ExitCode> {
    let context = || format!("failed to write the manual pages into `{}`", folder.display());
    clap_mangen::generate_to(Arguments::command(), folder).with_context(context)?;
    Ok(ExitCode::SUCCESS)
}
