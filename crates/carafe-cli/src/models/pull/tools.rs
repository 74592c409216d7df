//! Runs the conversion, which is Python's work.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Source;
use super::wanted::Wanted;
use crate::{environment, machine};

/// A Python that has the conversion tools.
pub(super) fn find_python() -> Result<PathBuf> {
    if let Some(python) = environment::python() {
        ensure!(
            has_tools(&python),
            "CARAFE_PYTHON is `{}`, which cannot import carafe_tools; see tools/README.md for how to install them",
            python.display()
        );
        return Ok(python);
    }
    let candidates = machine::installed_pythons();
    match candidates.iter().find(|python| has_tools(python)) {
        Some(python) => Ok(python.clone()),
        None => {
            let tried: Vec<_> = candidates.iter().map(|python| python.display().to_string()).collect();
            bail!(
                "no Python with carafe_tools, which converts models, was found; tried: {}. In Carafe's source tree `cargo xtask install` makes \
                 one, or set CARAFE_PYTHON to one that has them",
                tried.join(", ")
            )
        }
    }
}

/// Converts and certifies, into the folder `out`, which this very program opens at the end; the
/// tools tell of their progress themselves.
pub(super) fn convert(python: &Path, wanted: &Wanted, source: &Source, out: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.args(["-m", "carafe_tools", "convert"]).arg(&source.path).arg("--out").arg(out);
    command.args(["--name", &wanted.name, "--licence", wanted.licence]);
    command.arg("--notice").arg(format!("{} of the Hugging Face hub at commit {}.", wanted.repository, source.commit));
    command.arg("--carafe").arg(env::current_exe().context("failed to find the program that runs here")?);
    if let Some(tokenizer) = &source.tokenizer {
        command.arg("--tokenizer").arg(tokenizer);
    }
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("failed to start `{}`", python.display()))?;
    ensure!(status.success(), "the conversion failed, as told above; nothing was written to `{}`", out.display());
    Ok(())
}

fn has_tools(python: &Path) -> bool {
    let mut command = Command::new(python);
    let import = command
        .args(["-c", "import carafe_tools.convert"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    import.status().is_ok_and(|status| status.success())
}
