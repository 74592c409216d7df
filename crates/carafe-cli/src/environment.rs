//! Every environment variable that `carafe` reads, and nothing else reads any.

use std::env;
use std::path::PathBuf;

/// Folders of model folders, separated like `PATH`; searched after `--models`.
pub(crate) const MODELS: &str = "CARAFE_MODELS";
/// OpenVINO's C library, or the folder of an installation (archive, apt or pip); nothing else is tried then.
pub(crate) const OPENVINO: &str = "CARAFE_OPENVINO";
/// The user's data folder by the XDG base directory specification; `~/.local/share` where it is not set.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// The user's home folder.
const HOME: &str = "HOME";

/// The folders that `CARAFE_MODELS` lists.
pub(crate) fn model_places() -> Vec<PathBuf> {
    let places = env::var_os(MODELS).unwrap_or_default();
    env::split_paths(&places).filter(|place| !place.as_os_str().is_empty()).collect()
}

/// What `CARAFE_OPENVINO` names.
pub(crate) fn openvino() -> Option<PathBuf> {
    path(OPENVINO)
}

/// The user's data folder; the specification wants relative paths ignored.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let from_xdg = path(XDG_DATA_HOME).filter(|path| path.is_absolute());
    from_xdg.or_else(|| Some(path(HOME)?.join(".local/share")))
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
