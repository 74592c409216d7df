//! `carafe models pull`: from a repository of the Hugging Face hub to a certified model in the
//! user's data folder.
//!
//! `wanted` says which files of which repository, `hub` fetches and checks them (with `client`,
//! `download`, `contents` and `cache`), `tools` converts. What was fetched stays in the hub's
//! cache, so a pull that broke off goes on where it was.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use carafe_models::{Manifest, ModelFolder};
use serde_json::json;

use crate::arguments::Pull;
use crate::{machine, output};
use hub::Hub;
use wanted::{Form, Wanted};

mod cache;
mod client;
mod contents;
mod download;
mod failure;
mod hub;
mod location;
mod progress;
mod tools;
mod wanted;

/// Runs the command.
pub(crate) fn run(options: &Pull) -> Result<()> {
    let wanted = Wanted::new(options)?;
    let place = machine::user_model_place().context("no data folder: neither XDG_DATA_HOME nor HOME is set")?;
    let out = place.join(&wanted.name);
    if !options.again
        && let Ok(folder) = ModelFolder::open(&out)
    {
        folder.verify()?;
        output::note(&format!("`{}` is there already; --again fetches and converts it once more", wanted.name));
        return tell(&folder, options.json);
    }
    // First, so that nobody waits for a download that nothing can convert.
    let python = tools::find_python()?;
    output::note(&format!("converting will be done by {}", python.display()));
    let source = fetch(&Hub::new(&wanted.repository, &wanted.revision)?, &wanted.form)?;
    tools::convert(&python, &wanted, &source, &out)?;
    tell(&ModelFolder::open(&out)?, options.json)
}

/// What `convert` needs of a model.
struct Source {
    /// The .tflite, or the folder with the weights.
    path: PathBuf,
    /// Where the hub's folder does not say it itself.
    tokenizer: Option<PathBuf>,
    /// The commit that all files are of.
    commit: String,
}

fn fetch(hub: &Hub, form: &Form) -> Result<Source> {
    match form {
        Form::Tflite { file, identity } => {
            let path = hub.fetch(file)?;
            if let Some(identity) = identity {
                hub.check(&path, identity)?;
            }
            let tokenizer = hub.fetch("tokenizer.json")?;
            Ok(Source { commit: commit_of(&[&path, &tokenizer])?, tokenizer: Some(tokenizer), path })
        }
        Form::Safetensors => {
            let mut files = vec![hub.fetch("config.json")?];
            files.extend(fetch_weights(hub)?);
            files.extend(fetch_tokenizer(hub)?);
            let commit = commit_of(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
            let folder = files[0].parent().context("a file without a folder")?.to_owned();
            Ok(Source { path: folder, tokenizer: None, commit })
        }
    }
}

fn fetch_weights(hub: &Hub) -> Result<Vec<PathBuf>> {
    if let Some(whole) = hub.fetch_if_there("model.safetensors")? {
        return Ok(vec![whole]);
    }
    let index = hub.fetch_if_there("model.safetensors.index.json")?.with_context(|| {
        format!("{hub} has neither `model.safetensors` nor shards of it; a GPT-2 in safetensors was expected")
    })?;
    let shards = wanted::shards(&index)?;
    let fetched: Result<Vec<_>> = shards.iter().map(|shard| hub.fetch(shard)).collect();
    Ok(fetched?.into_iter().chain([index]).collect())
}

fn fetch_tokenizer(hub: &Hub) -> Result<Vec<PathBuf>> {
    match hub.fetch_if_there("tokenizer.json")? {
        Some(whole) => Ok(vec![whole]),
        None => Ok(vec![hub.fetch("vocab.json")?, hub.fetch("merges.txt")?]),
    }
}

/// The commit that files of the hub's cache belong to: they lie in a folder named by it.
fn commit_of(files: &[&Path]) -> Result<String> {
    let folder = files[0].parent().context("a file without a folder")?;
    anyhow::ensure!(
        files.iter().all(|file| file.parent() == Some(folder)),
        "the repository changed while it was fetched; run the same command again"
    );
    Ok(folder.file_name().context("a folder without a name")?.to_string_lossy().into_owned())
}

fn tell(folder: &ModelFolder, json: bool) -> Result<()> {
    let Manifest { name, description, provenance, .. } = folder.manifest();
    if json {
        let path = folder.path();
        return output::json(&json!({ "model": name, "path": path, "source_sha256": provenance.source_sha256 }));
    }
    output::line(&format!("{name}: {description}"))?;
    output::line(&format!("in {}", folder.path().display()))?;
    output::note(&format!("try: carafe generate --model {name} --prompt 'Once upon a time'"));
    Ok(())
}
