//! What is printed of a model that has just been added.

use anyhow::Result;
use carafe_models::{Manifest, ModelFolder, Task};
use serde_json::json;

use super::licence;
use crate::output;

/// Prints what the model is, where it is, under which licence, and how to use it.
pub(super) fn tell(folder: &ModelFolder, json: bool) -> Result<()> {
    let Manifest { name, description, provenance, licence, .. } = folder.manifest();
    if json {
        return output::json(&json!({
            "model": name,
            "path": folder.path(),
            "source_sha256": provenance.source_sha256,
            "licence": licence.spdx,
        }));
    }
    output::line(&format!("{name}: {description}"))?;
    output::line(&format!("in {}", folder.path().display()))?;
    output::line(&format!("licence: {}", licence::words(&licence.spdx)))?;
    output::note(&format!("try: {}", try_it(folder.manifest())));
    Ok(())
}

fn try_it(manifest: &Manifest) -> String {
    let name = &manifest.name;
    match manifest.task {
        Task::TextGeneration if manifest.can_chat() => format!("carafe chat --model {name}"),
        Task::TextGeneration => format!("carafe generate --model {name} --prompt 'Once upon a time'"),
        Task::ImageClassification => format!("carafe classify --model {name} IMAGE"),
    }
}
