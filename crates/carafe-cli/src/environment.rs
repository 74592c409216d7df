//! Every environment variable that `carafe` reads, and nothing else reads any.
//!
//! Most stand for a flag of the same name, which goes before them; `arguments` says which.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// Folders of model folders, separated like `PATH`; searched after `--models`.
pub(crate) const MODELS: &str = "CARAFE_MODELS";
/// OpenVINO's C library, or the folder of an installation (archive, apt or pip); nothing else is tried then.
pub(crate) const OPENVINO: &str = "CARAFE_OPENVINO";
/// Stands for `--profile`.
pub(crate) const PROFILE: &str = "CARAFE_PROFILE";
/// Stands for `--threads`.
pub(crate) const THREADS: &str = "CARAFE_THREADS";
/// Stands for `--guest-memory`.
pub(crate) const GUEST_MEMORY: &str = "CARAFE_GUEST_MEMORY";
/// Stands for `--draft-tokens`.
pub(crate) const DRAFT_TOKENS: &str = "CARAFE_DRAFT_TOKENS";
/// Stands for `serve --host`.
pub(crate) const HOST: &str = "CARAFE_HOST";
/// Stands for `serve --port`.
pub(crate) const PORT: &str = "CARAFE_PORT";
/// Stands for `serve --model`; several are separated by commas.
pub(crate) const MODEL: &str = "CARAFE_MODEL";
/// Stands for `serve --queue`.
pub(crate) const QUEUE: &str = "CARAFE_QUEUE";
/// Stands for `serve --image-workers`.
pub(crate) const IMAGE_WORKERS: &str = "CARAFE_IMAGE_WORKERS";
/// Stands for `serve --drain`.
pub(crate) const DRAIN: &str = "CARAFE_DRAIN";
/// Stands for `serve --request-timeout`.
pub(crate) const REQUEST_TIMEOUT: &str = "CARAFE_REQUEST_TIMEOUT";
/// Stands for `serve --api-key-file`.
pub(crate) const API_KEY_FILE: &str = "CARAFE_API_KEY_FILE";
/// Stands for `serve --cors-origin`; several are separated by commas.
pub(crate) const CORS_ORIGIN: &str = "CARAFE_CORS_ORIGIN";
/// Stands for `serve --allowed-host`; several are separated by commas.
pub(crate) const ALLOWED_HOST: &str = "CARAFE_ALLOWED_HOST";
/// Stands for `serve --log`.
pub(crate) const LOG: &str = "CARAFE_LOG";
/// Stands for `serve --log-prompts`.
pub(crate) const LOG_PROMPTS: &str = "CARAFE_LOG_PROMPTS";

/// A Python that has `carafe_tools`, for `models pull`.
pub(crate) const PYTHON: &str = "CARAFE_PYTHON";

/// All that begin with `CARAFE_`.
const OWN: [&str; 19] = [
    MODELS,
    OPENVINO,
    PROFILE,
    THREADS,
    GUEST_MEMORY,
    DRAFT_TOKENS,
    HOST,
    PORT,
    MODEL,
    QUEUE,
    IMAGE_WORKERS,
    DRAIN,
    REQUEST_TIMEOUT,
    API_KEY_FILE,
    CORS_ORIGIN,
    ALLOWED_HOST,
    LOG,
    LOG_PROMPTS,
    PYTHON,
];

/// Refuses variables that look as if they meant something here and do not: a mistyped one would silently do nothing.
pub(crate) fn refuse_unknown() -> Result<()> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    match names.filter(|name| name.starts_with("CARAFE_")).find(|name| !OWN.contains(&name.as_str())) {
        Some(name) => bail!("the environment variable `{name}` is not known; there are: {}", OWN.join(", ")),
        None => Ok(()),
    }
}

/// The user's data folder by the XDG base directory specification; `~/.local/share` where it is not set.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// The user's home folder.
const HOME: &str = "HOME";
/// Where Hugging Face's programs keep what they fetched; `hf-hub` reads it, and `HF_ENDPOINT`, itself.
const HF_HOME: &str = "HF_HOME";
/// A token for the Hugging Face hub, before the one that its programs keep.
const HF_TOKEN: &str = "HF_TOKEN";

/// The folders that `CARAFE_MODELS` lists.
pub(crate) fn model_places() -> Vec<PathBuf> {
    let places = env::var_os(MODELS).unwrap_or_default();
    env::split_paths(&places).filter(|place| !place.as_os_str().is_empty()).collect()
}

/// What `CARAFE_OPENVINO` names.
pub(crate) fn openvino() -> Option<PathBuf> {
    path(OPENVINO)
}

/// What `CARAFE_PYTHON` names.
pub(crate) fn python() -> Option<PathBuf> {
    path(PYTHON)
}

/// What `HF_TOKEN` holds.
pub(crate) fn hub_token() -> Option<String> {
    env::var(HF_TOKEN).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// Whether there is a place for what is fetched from the hub.
pub(crate) fn has_hub_cache() -> bool {
    path(HF_HOME).is_some() || path(HOME).is_some()
}

/// The user's data folder; the specification wants relative paths ignored.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let from_xdg = path(XDG_DATA_HOME).filter(|path| path.is_absolute());
    from_xdg.or_else(|| Some(path(HOME)?.join(".local/share")))
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
