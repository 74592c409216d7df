//! Whether OpenVINO and the native layer are there and fit each other.

use serde_json::json;

use super::{Finding, Status, Topic};
use crate::machine;

/// Looks, and returns the version as well where it is found.
pub(super) fn look() -> (Topic, Option<String>) {
    let (findings, version) = match machine::runtime() {
        Ok(runtime) => {
            let (version, library, layer) = (runtime.version(), runtime.library_path(), runtime.layer_path());
            let openvino = Finding::new(Status::Good, format!("OpenVINO {}, `{}`", short(version), library.display()))
                .with_facts(json!({ "version": version, "library": library }));
            let native = Finding::new(Status::Good, format!("native layer for it, `{}`", layer.display()))
                .with_facts(json!({ "layer": layer }));
            (vec![openvino, native], Some(version.to_owned()))
        }
        Err(error) => (vec![Finding::of_error(Status::Error, error).or_remedy(REMEDY)], None),
    };
    (Topic::new("openvino", "OpenVINO", findings), version)
}

/// The number of a version, without what was built when: `2026.4.1`.
pub(super) fn short(version: &str) -> &str {
    version.split('-').next().unwrap_or(version)
}

const REMEDY: &str = "set `CARAFE_OPENVINO` to `libopenvino.so`, or to the folder of an OpenVINO for which the native layer was \
                      built; without the variable Carafe takes the one that it was installed with";
