//! What Carafe and the hub's programs keep on the disk, and how much of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Finding, Status, Topic};
use crate::output::mebibytes;
use crate::{environment, machine, models};

/// Looks into the user's folders.
pub(super) fn look() -> Topic {
    let [added, kept] = ["models that were added", "models that `cargo xtask serve` made"];
    let models = machine::user_model_directories().into_iter().zip([added, kept]);
    let packages = models::packages().map(|folder| (folder, "files of Python packages, of which models were made"));
    let hub = environment::hub_home()
        .map(|home| (home.join("hub"), "the Hugging Face hub's cache, which other programs use as well"));
    let there = models.chain(packages).chain(hub).filter(|(folder, _)| folder.is_dir());
    let mut findings: Vec<_> = there.map(|(folder, what)| of_folder(folder, what)).collect();
    if findings.is_empty() {
        findings.push(Finding::new(Status::Note, "nothing is kept in this user's folders"));
    }
    Topic::new("caches", "On the disk", findings)
}

fn of_folder(folder: PathBuf, what: &str) -> Finding {
    let bytes = size(&folder);
    Finding::new(Status::Note, format!("{} in `{}`: {what}", mebibytes(bytes), folder.display()))
        .with_facts(json!({ "path": folder, "bytes": bytes }))
}

/// Bytes of all files in a folder and those below; links are not followed.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of_entry).sum()
}
