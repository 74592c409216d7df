//! Whether there is a Python that `carafe models add` and `pull` can use. A server needs none.

use serde_json::json;

use super::{Finding, Status, Topic};
use crate::models;

/// Looks for it as these commands do.
pub(super) fn look() -> Topic {
    let finding = match models::find_python() {
        Ok(python) => {
            Finding::new(Status::Good, format!("`carafe models add` and `pull` convert with `{}`", python.display()))
                .with_facts(json!({ "python": python }))
        }
        Err(error) => Finding::of_error(Status::Warning, error)
            .or_remedy("serving needs no Python; to add models, set `CARAFE_PYTHON` to one that has carafe_tools"),
    };
    Topic::new("adding", "Adding models", vec![finding])
}
