//! Models that a short name stands for: files that are known by their hash, wherever they come
//! from.
//!
//! The table is a file of the tools, which look up there what such a file cannot say of itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::contents::Identity;
use super::package::Package;

/// Others come when the hashes of their files have been seen.
const TABLE: &str = include_str!("../../../../../tools/carafe_tools/data/known.json");

/// The short name of the model that a command fetches when it finds none.
pub(crate) const DEFAULT: &str = "smollm2";

/// A file of the hub that is known by its hash.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Known {
    /// What the model is called here.
    pub(crate) model: String,
    /// SPDX identifier of its licence.
    pub(crate) licence: String,
    /// Where on the hub the file is, as `owner/name`.
    pub(crate) repository: String,
    /// Its name there.
    pub(super) file: String,
    /// What it must be, wherever it comes from.
    #[serde(flatten)]
    pub(crate) identity: Identity,
    /// A Python package that holds the same file.
    pub(crate) package: Option<Package>,
}

impl Known {
    /// The file that a short name stands for.
    pub(crate) fn find(name: &str) -> Result<Option<Self>> {
        Ok(table()?.remove(name))
    }

    /// The one of the default model.
    pub(crate) fn default_model() -> Result<Self> {
        Self::find(DEFAULT)?.context("the table of known models lacks the default one")
    }
}

/// All short names.
pub(super) fn names() -> Result<Vec<String>> {
    Ok(table()?.into_keys().collect())
}

fn table() -> Result<BTreeMap<String, Known>> {
    serde_json::from_str(TABLE).context("the table of known models is broken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_name_stands_for_a_file_with_a_hash() {
        for name in names().expect("a table") {
            let known = Known::find(&name).expect("a table").expect("an entry");
            assert_eq!(known.identity.sha256.len(), 64, "{name}");
            assert!(known.repository.contains('/') && known.identity.size > 0, "{name}");
        }
        assert!(Known::default_model().expect("the default model").package.is_some());
    }
}
