//! Makes a model of a source, which is the work of the tools' Python: check, convert, certify, and
//! open in this very program. It tells of its progress itself.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use carafe_models::ModelFolder;
use serde_json::Value;

use super::{leftovers, name};
use crate::arguments::Making;
use crate::{environment, machine};

/// A model that is to be made.
pub(super) struct Plan<'a> {
    pub(super) name: String,
    /// The model's folder.
    pub(super) out: PathBuf,
    options: &'a Making,
}

/// What it is made of.
pub(super) struct Source {
    /// A file or a folder.
    pub(super) path: PathBuf,
    /// Where the source does not have its own.
    pub(super) tokenizer: Option<PathBuf>,
    /// An SPDX expression.
    pub(super) licence: String,
    /// The licence in full, notices and use policies, to be kept with the model.
    pub(super) licence_texts: Vec<PathBuf>,
    /// Where it comes from, for people.
    pub(super) notice: String,
}

impl<'a> Plan<'a> {
    /// A model of a source that is called so.
    pub(super) fn new(options: &'a Making, source: &str) -> Result<Self> {
        let name = name::choose(options.name.as_deref(), source)?;
        let directory = match &options.models {
            Some(directory) => directory.clone(),
            None => machine::user_model_directory().context(
                "no data folder: neither XDG_DATA_HOME nor HOME is set; name a folder of models by `--models`",
            )?,
        };
        leftovers::clear(&directory);
        Ok(Self { out: directory.join(&name), name, options })
    }

    /// The model of this name that is there and in order, unless it is to be made anew.
    pub(super) fn existing(&self) -> Option<ModelFolder> {
        if self.options.again { None } else { ModelFolder::open(&self.out).ok() }
    }

    /// Makes the model, whole or not at all.
    pub(super) fn make(&self, python: &Path, source: &Source) -> Result<ModelFolder> {
        let out = self.out.display();
        let mut command = self.command(python, source)?;
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let status = status.with_context(|| format!("failed to start `{}`", python.display()))?;
        ensure!(status.success(), "the conversion failed, as told above; nothing was written to `{out}`");
        Ok(ModelFolder::open(&self.out)?)
    }

    fn command(&self, python: &Path, source: &Source) -> Result<Command> {
        let Making { context_length, weights, generation_config, licence, full, .. } = self.options;
        let mut command = Command::new(python);
        command.args(["-m", "carafe_tools", "add"]).arg(&source.path).arg("--out").arg(&self.out);
        command.args(["--name", &self.name, "--licence", licence.as_ref().unwrap_or(&source.licence)]);
        command.args(["--notice", &source.notice]);
        command.arg("--carafe").arg(this_program()?);
        let tokenizer = source.tokenizer.iter().map(|file| ("--tokenizer", file));
        for (flag, file) in tokenizer.chain(source.licence_texts.iter().map(|file| ("--licence-text", file))) {
            command.arg(flag).arg(file);
        }
        if let Some(length) = context_length {
            command.args(["--context-length", &length.to_string()]);
        }
        if let Some(weights) = weights {
            command.args(["--weights", weights.name()]);
        }
        if let Some(file) = generation_config {
            command.arg("--generation-config").arg(file);
        }
        if *full {
            command.arg("--full");
        }
        Ok(command)
    }
}

/// Makes a model's certificate anew in its full form, puts it into the model's folder, whole or not
/// at all, and returns it.
pub(super) fn certify(python: &Path, folder: &Path, source: Option<&Path>) -> Result<Value> {
    let mut command = Command::new(python);
    command.args(["-m", "carafe_tools", "certify"]).arg(folder).args(["--full", "--write"]);
    command.arg("--carafe").arg(this_program()?);
    if let Some(source) = source {
        command.arg("--source").arg(source);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("failed to start `{}`", python.display()))?;
    ensure!(
        output.status.success(),
        "the certificate was not made, as told above; `{}` is as it was",
        folder.display()
    );
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap_or_default()).context("failed to read what the tools say of it")
}

fn this_program() -> Result<PathBuf> {
    env::current_exe().context("failed to find the program that runs here")
}

/// A Python that has the tools.
pub(crate) fn find_python() -> Result<PathBuf> {
    if let Some(python) = environment::python() {
        ensure!(
            has_tools(&python),
            "CARAFE_PYTHON is `{}`, which cannot run carafe_tools; see tools/README.md for how to install them",
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
                "no Python with carafe_tools, which converts models, was found; tried: {}. Carafe's wheel and \
                 `cargo xtask install` bring one; in Carafe's source tree `cargo xtask setup` makes one; or set CARAFE_PYTHON to one \
                 that has them",
                tried.join(", ")
            )
        }
    }
}

fn has_tools(python: &Path) -> bool {
    let mut command = Command::new(python);
    let help = command
        .args(["-m", "carafe_tools", "add", "--help"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    help.status().is_ok_and(|status| status.success())
}
