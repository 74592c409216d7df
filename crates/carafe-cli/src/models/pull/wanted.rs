//! Which files of which repository a pull is about.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use carafe_models::manifest::{MAX_NAME, is_model_name};
use serde_json::Value;

use crate::arguments::Pull;

/// A model of the hub.
pub(super) struct Wanted {
    /// As `owner/name`.
    pub(super) repository: String,
    /// Branch, tag or commit.
    pub(super) revision: String,
    pub(super) form: Form,
    /// What it is called here.
    pub(super) name: String,
    /// SPDX identifier of its licence.
    pub(super) licence: &'static str,
}

/// How the weights come.
pub(super) enum Form {
    /// An 8-bit .tflite, and what is known of it beforehand.
    Tflite { file: String, identity: Option<Identity> },
    /// `model.safetensors`, or shards of it.
    Safetensors,
}

/// What a file must be.
pub(super) struct Identity {
    pub(super) size: u64,
    pub(super) sha256: &'static str,
}

const GPT2: &str = "openai-community/gpt2";
const GPT2_TFLITE: &str = "64-8bits.tflite";
/// The file that OpenAI's GPT-2 has had at Hugging Face since 2019.
const GPT2_IDENTITY: Identity =
    Identity { size: 125_162_496, sha256: "c966da3b74697803352ca7c6f2f220e7090a557b619de9da0c6b34d89f7825c1" };
/// Files that the weights may be cut into: models a thousand times as large have some hundred.
const MAX_SHARDS: usize = 1000;
const DISTILGPT2: &str = "distilbert/distilgpt2";

impl Wanted {
    /// What the flags ask for.
    pub(super) fn new(options: &Pull) -> Result<Self> {
        let (repository, form) = match (options.model.as_str(), &options.tflite) {
            ("gpt2", None) => (GPT2, Form::Tflite { file: GPT2_TFLITE.to_owned(), identity: Some(GPT2_IDENTITY) }),
            ("distilgpt2", None) => (DISTILGPT2, Form::Safetensors),
            (repository, None) => (repository, Form::Safetensors),
            (repository, Some(file)) => (repository, Form::Tflite { file: file.clone(), identity: None }),
        };
        check_repository(repository)?;
        ensure!(
            options.revision.split('/').all(is_plain_name),
            "`{}` cannot be a revision; a branch, a tag or a commit was expected",
            options.revision
        );
        if let Some(file) = &options.tflite {
            ensure!(is_plain_name(file), "`{file}` cannot be a file of the repository; a plain name was expected");
        }
        let name = options.name.clone().unwrap_or_else(|| model_name(repository));
        ensure!(
            is_model_name(&name),
            "`{name}` cannot be a model's name; 1 to {MAX_NAME} of a-z, 0-9, `-` and `.` were expected, the first a letter or \
             digit: give one by --name"
        );
        Ok(Self {
            repository: repository.to_owned(),
            revision: options.revision.clone(),
            form,
            name,
            licence: licence(repository),
        })
    }
}

/// Names of the shards in `model.safetensors.index.json`, each a plain file name: they come from
/// strangers and become paths.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(index).with_context(|| format!("failed to read `{}`", index.display()))?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", index.display()))?;
    let places =
        json["weight_map"].as_object().with_context(|| format!("`{}` has no `weight_map`", index.display()))?;
    let names: Option<BTreeSet<_>> = places.values().map(|name| name.as_str().map(str::to_owned)).collect();
    let names = names.with_context(|| format!("`{}` names a file by something else than text", index.display()))?;
    ensure!(
        names.len() <= MAX_SHARDS,
        "`{}` names {} files; at most {MAX_SHARDS} were expected",
        index.display(),
        names.len()
    );
    match names.iter().find(|name| !is_plain_name(name)) {
        Some(name) => bail!("`{}` names a file `{name}`; a plain name was expected", index.display()),
        None => Ok(names),
    }
}

/// Whether a name can be a file's in a folder and lead nowhere else.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

fn check_repository(repository: &str) -> Result<()> {
    let parts: Vec<_> = repository.split('/').collect();
    ensure!(
        parts.len() <= 2 && parts.iter().all(|part| is_plain_name(part)),
        "`{repository}` cannot be a repository; `gpt2`, `distilgpt2` or one as `owner/name` was expected"
    );
    Ok(())
}

/// The last part of a repository's name, with what a model's name may hold.
fn model_name(repository: &str) -> String {
    let last = repository.rsplit('/').next().unwrap_or(repository).to_ascii_lowercase();
    last.replace('_', "-")
}

/// The licence as far as it is known without asking.
fn licence(repository: &str) -> &'static str {
    match repository {
        GPT2 => "MIT",
        DISTILGPT2 => "Apache-2.0",
        _ => "NOASSERTION",
    }
}
