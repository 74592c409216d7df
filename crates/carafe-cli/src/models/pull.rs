//! `carafe models pull`: from a repository of the Hugging Face hub to a certified model in the
//! user's data folder.
//!
//! `wanted` says what was asked for, `choice` which files of the repository these are, `hub`
//! fetches and checks them (with `client`, `download`, `contents` and `cache`); the rest is that of
//! `add`. What was fetched stays in the hub's cache, so a pull that broke off goes on where it was.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::tools::{Plan, Source};
use super::{added, licence, tools};
use crate::arguments::Pull;
use crate::{environment, output};
use choice::{Choice, Weights};
use hub::Hub;
use wanted::Wanted;

mod cache;
mod choice;
mod client;
mod contents;
mod download;
mod failure;
mod hub;
mod listing;
mod location;
mod progress;
mod wanted;

/// Runs the command.
pub(crate) fn run(options: &Pull) -> Result<()> {
    let wanted = Wanted::new(options)?;
    let plan = Plan::new(&options.making, &wanted.called)?;
    if let Some(there) = plan.existing() {
        there.verify()?;
        output::note(&format!("`{}` is there already; --again fetches and converts it once more", plan.name));
        return added::tell(&there, options.making.json);
    }
    // First, so that nobody waits for a download that nothing can convert.
    let python = tools::find_python()?;
    output::note(&format!("converting will be done by {}", python.display()));
    let is_offline = options.offline || environment::hub_is_offline();
    let source = fetch(&wanted, Hub::new(&wanted.repository, &wanted.revision, is_offline)?)?;
    added::tell(&plan.make(&python, &source)?, options.making.json)
}

fn fetch(wanted: &Wanted, mut hub: Hub) -> Result<Source> {
    let files = hub.list()?;
    let choice = Choice::of(&files, wanted.file.as_deref()).with_context(|| format!("{hub} cannot be taken"))?;
    let mut fetched = choice.companions.iter().map(|file| hub.fetch(file)).collect::<Result<Vec<PathBuf>>>()?;
    let weights = fetch_weights(&hub, &choice.weights)?;
    if let Some(identity) = &wanted.identity {
        hub.check(&weights, identity)?;
    }
    fetched.push(weights.clone());
    let commit = commit_of(&fetched)?;
    if wanted.identity.is_none() {
        output::note(&format!(
            "unpinned: what `{}` holds at commit {commit} is checked against the hub's own hashes alone",
            wanted.repository
        ));
    }
    let folder = weights.parent().context("a file without a folder")?;
    let is_folder = choice.weights.is_folder();
    Ok(Source {
        path: if is_folder { folder.to_owned() } else { weights.clone() },
        tokenizer: choice.tokenizer.map(|file| folder.join(file)),
        licence: wanted.licence.map_or_else(|| licence::of_folder(folder), str::to_owned),
        licence_texts: choice.licence_texts.iter().map(|file| folder.join(file)).collect(),
        notice: format!("{} of the Hugging Face hub at commit {commit}.", wanted.repository),
    })
}

/// The path of the weights, or of one of their files.
fn fetch_weights(hub: &Hub, weights: &Weights) -> Result<PathBuf> {
    match weights {
        Weights::OpenVino => {
            hub.fetch(choice::GRAPH)?;
            hub.fetch(choice::GRAPH_WEIGHTS)
        }
        Weights::Safetensors => hub.fetch(choice::SAFETENSORS),
        Weights::Alone(file) => hub.fetch(file),
        Weights::Shards => {
            let index = hub.fetch(choice::INDEX)?;
            choice::shards(&index)?.iter().try_for_each(|shard| hub.fetch(shard).map(drop))?;
            Ok(index)
        }
    }
}

/// The commit that files of the hub's cache belong to: they lie in a folder named by it.
fn commit_of(files: &[PathBuf]) -> Result<String> {
    let folder = files.first().and_then(|file| file.parent()).context("a file without a folder")?;
    anyhow::ensure!(
        files.iter().all(|file| file.parent() == Some(folder)),
        "the repository changed while it was fetched; run the same command again"
    );
    Ok(name_of(folder))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
