//! Every environment variable that `carafe` reads, and nothing else reads any.
//!
//! Most stand for a flag of the same name, which goes before them; `arguments` says which.
//! `service_links` knows those that Kubernetes and docker set for a service named like the program.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

mod service_links;

/// Folders of model folders, separated like `PATH`; searched after `--models`.
pub(crate) const MODELS: &str = "CARAFE_MODELS";
/// OpenVINO's C library, or the folder of an installation (archive, apt or pip); nothing else is
/// tried then.
pub(crate) const OPENVINO: &str = "CARAFE_OPENVINO";
/// Stands for `--profile`.
pub(crate) const PROFILE: &str = "CARAFE_PROFILE";
/// Stands for `--activations`.
pub(crate) const ACTIVATIONS: &str = "CARAFE_ACTIVATIONS";
/// Stands for `--threads`.
pub(crate) const THREADS: &str = "CARAFE_THREADS";
/// Stands for `--cpu-pinning`.
pub(crate) const CPU_PINNING: &str = "CARAFE_CPU_PINNING";
/// Stands for `--guest-memory`.
pub(crate) const GUEST_MEMORY: &str = "CARAFE_GUEST_MEMORY";
/// Stands for `--kv-cache`.
pub(crate) const KV_CACHE: &str = "CARAFE_KV_CACHE";
/// Stands for `--kv-cache-precision`.
pub(crate) const KV_CACHE_PRECISION: &str = "CARAFE_KV_CACHE_PRECISION";
/// Stands for `--prefill-chunk`.
pub(crate) const PREFILL_CHUNK: &str = "CARAFE_PREFILL_CHUNK";
/// Stands for `--context-length`.
pub(crate) const CONTEXT_LENGTH: &str = "CARAFE_CONTEXT_LENGTH";
/// Stands for `--draft-tokens`.
pub(crate) const DRAFT_TOKENS: &str = "CARAFE_DRAFT_TOKENS";
/// Stands for `serve --share-prefixes`.
pub(crate) const SHARE_PREFIXES: &str = "CARAFE_SHARE_PREFIXES";
/// Stands for `serve --no-prefix-cache`.
pub(crate) const NO_PREFIX_CACHE: &str = "CARAFE_NO_PREFIX_CACHE";
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
/// Stands for `serve --body-memory`.
pub(crate) const BODY_MEMORY: &str = "CARAFE_BODY_MEMORY";
/// Stands for `serve --shutdown-delay`.
pub(crate) const SHUTDOWN_DELAY: &str = "CARAFE_SHUTDOWN_DELAY";
/// Stands for `serve --drain`.
pub(crate) const DRAIN: &str = "CARAFE_DRAIN";
/// Stands for `serve --request-timeout`.
pub(crate) const REQUEST_TIMEOUT: &str = "CARAFE_REQUEST_TIMEOUT";
/// Stands for `serve --default-max-tokens`.
pub(crate) const DEFAULT_MAX_TOKENS: &str = "CARAFE_DEFAULT_MAX_TOKENS";
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

/// A Python that has `carafe_tools`, for `models add` and `models pull`.
pub(crate) const PYTHON: &str = "CARAFE_PYTHON";

/// All that begin with `CARAFE_`.
const OWN: [&str; 30] = [
    MODELS,
    OPENVINO,
    PROFILE,
    ACTIVATIONS,
    THREADS,
    CPU_PINNING,
    GUEST_MEMORY,
    KV_CACHE,
    KV_CACHE_PRECISION,
    PREFILL_CHUNK,
    CONTEXT_LENGTH,
    DRAFT_TOKENS,
    SHARE_PREFIXES,
    NO_PREFIX_CACHE,
    HOST,
    PORT,
    MODEL,
    QUEUE,
    IMAGE_WORKERS,
    BODY_MEMORY,
    SHUTDOWN_DELAY,
    DRAIN,
    REQUEST_TIMEOUT,
    DEFAULT_MAX_TOKENS,
    API_KEY_FILE,
    CORS_ORIGIN,
    ALLOWED_HOST,
    LOG,
    LOG_PROMPTS,
    PYTHON,
];

/// Variables that begin with `CARAFE_` but were set for a service of that name, sorted. They mean
/// nothing here.
pub(crate) fn service_links() -> Vec<String> {
    service_links::service_links(&own_variables())
}

/// Refuses variables that look as if they meant something here and do not: a mistyped one would
/// silently do nothing. What Kubernetes and docker set for a service cannot be mistyped; those that
/// `service_links` names are passed over with a warning.
pub(crate) fn refuse_unknown(service_links: &[String]) -> Result<()> {
    let is_unknown = |name: &String| !OWN.contains(&name.as_str()) && !service_links.contains(name);
    if let Some(name) = own_variables().into_iter().map(|(name, _)| name).find(is_unknown) {
        bail!("the environment variable `{name}` is not known; there are: {}", OWN.join(", "));
    }
    if !service_links.is_empty() {
        tracing::warn!(
            "passed over environment variables that Kubernetes or docker sets for a service whose name begins with `carafe`: {}; \
             `enableServiceLinks: false` in the pod, or another name of the service, keeps them away",
            service_links.join(", ")
        );
    }
    Ok(())
}

/// Variables that begin with `CARAFE_`, with their values.
fn own_variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.to_string_lossy().into()));
    env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with("CARAFE_")).collect()
}

/// The user's data folder by the XDG base directory specification; `~/.local/share` where it is not
/// set.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// The user's cache by the same specification; `~/.cache` where it is not set.
const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The user's home folder.
const HOME: &str = "HOME";
/// Where Hugging Face's programs keep what they fetched; `~/.cache/huggingface` where it is not
/// set.
const HF_HOME: &str = "HF_HOME";
/// Another hub than Hugging Face's own.
const HF_ENDPOINT: &str = "HF_ENDPOINT";
/// Seconds that the hub may take for each step of an answer.
const HF_HUB_DOWNLOAD_TIMEOUT: &str = "HF_HUB_DOWNLOAD_TIMEOUT";
/// Whether the hub is not to be asked, as Hugging Face's programs read it.
const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";
/// A token for the Hugging Face hub, before the one that its programs keep.
const HF_TOKEN: &str = "HF_TOKEN";

/// The folders that `CARAFE_MODELS` lists.
pub(crate) fn model_directories() -> Vec<PathBuf> {
    let directories = env::var_os(MODELS).unwrap_or_default();
    env::split_paths(&directories).filter(|directory| !directory.as_os_str().is_empty()).collect()
}

/// What `CARAFE_OPENVINO` names.
pub(crate) fn openvino() -> Option<PathBuf> {
    path(OPENVINO)
}

/// What `CARAFE_PYTHON` names.
pub(crate) fn python() -> Option<PathBuf> {
    path(PYTHON)
}

/// The address of the hub.
pub(crate) fn hub_endpoint() -> String {
    let named = env::var(HF_ENDPOINT).ok().filter(|endpoint| !endpoint.is_empty());
    named.unwrap_or_else(|| "https://huggingface.co".to_owned())
}

/// How long the hub may take for each step of an answer.
pub(crate) fn hub_patience() -> Result<Duration> {
    let Some(text) = env::var(HF_HUB_DOWNLOAD_TIMEOUT).ok().filter(|text| !text.is_empty()) else {
        return Ok(Duration::from_secs(30));
    };
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => bail!("{HF_HUB_DOWNLOAD_TIMEOUT} is `{text}`; 1 to 3600 seconds were expected"),
    }
}

/// Whether the hub is not to be asked.
pub(crate) fn hub_is_offline() -> bool {
    env::var(HF_HUB_OFFLINE)
        .is_ok_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// What `HF_TOKEN` holds, or else the token that Hugging Face's programs keep in their home.
pub(crate) fn hub_token(hub_home: &Path) -> Option<String> {
    let kept = || fs::read_to_string(hub_home.join("token")).ok();
    let present = |token: String| Some(token.trim().to_owned()).filter(|token| !token.is_empty());
    env::var(HF_TOKEN).ok().and_then(present).or_else(|| kept().and_then(present))
}

/// Where Hugging Face's programs keep things.
pub(crate) fn hub_home() -> Option<PathBuf> {
    path(HF_HOME).or_else(|| Some(path(HOME)?.join(".cache/huggingface")))
}

/// The user's data folder.
pub(crate) fn data_folder() -> Option<PathBuf> {
    user_folder(XDG_DATA_HOME, ".local/share")
}

/// The user's cache.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    user_folder(XDG_CACHE_HOME, ".cache")
}

/// A folder of the XDG base directory specification, which wants relative paths ignored.
fn user_folder(name: &str, in_home: &str) -> Option<PathBuf> {
    let from_xdg = path(name).filter(|path| path.is_absolute());
    from_xdg.or_else(|| Some(path(HOME)?.join(in_home)))
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::{
        HF_ENDPOINT, HF_HOME, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_OFFLINE, HF_TOKEN, OWN, XDG_CACHE_HOME, XDG_DATA_HOME,
    };

    #[test]
    fn the_book_names_every_variable() {
        let book =
            [include_str!("../../../docs/configuration.md"), include_str!("../../../docs/command-line.md")].concat();
        let others =
            [HF_ENDPOINT, HF_HOME, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_OFFLINE, HF_TOKEN, XDG_CACHE_HOME, XDG_DATA_HOME];
        for name in OWN.iter().chain(&others) {
            assert!(book.contains(&format!("`{name}`")), "the book does not name `{name}`");
        }
    }
}
