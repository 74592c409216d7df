//! `carafe bench`: how fast a model is on this machine, in this process.
//!
//! `text` generates, in the sandbox or natively; `images` classifies; `timing` makes figures of the
//! times at which tokens came; `explain` tells where the time of a step goes. `bench/` compares all
//! this with other engines.

use std::process::ExitCode;

use anyhow::{Result, bail};
use carafe_models::Task;

use crate::arguments::Bench;
use crate::machine;

mod explain;
mod images;
mod native;
mod text;
mod timing;

/// Runs the command.
pub(crate) fn run(options: &Bench) -> Result<ExitCode> {
    let folder = machine::catalogue(&options.running.directories)?.find(&options.model)?;
    match (folder.manifest().task, &options.image) {
        (Task::TextGeneration, None) => text::run(options)?,
        (Task::ImageClassification, Some(image)) => images::run(options, image)?,
        (Task::TextGeneration, Some(_)) => bail!("`{}` is a text model, which takes no `--image`", options.model),
        (Task::ImageClassification, None) => bail!("`{}` classifies images: give one with `--image`", options.model),
    }
    Ok(ExitCode::SUCCESS)
}
