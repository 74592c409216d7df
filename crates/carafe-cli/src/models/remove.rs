//! `carafe models remove`: takes a model out of the user's folders.
//!
//! Only what `add` and `pull` put there goes: a bundled model, or one of another folder, is refused
//! by its path. What was fetched from the hub stays in the hub's cache, which other programs use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use carafe_models::folder::MANIFEST;
use carafe_models::manifest::is_model_name;
use serde_json::json;

use super::leftovers::hidden_name;
use crate::arguments::ModelDirectories;
use crate::machine;
use crate::output::{self, mebibytes};

/// Removes the model of this name.
pub(super) fn run(name: &str, models: Option<&Path>, json: bool) -> Result<()> {
    let folder = find(name, models)?;
    let freed = remove(&folder).with_context(|| format!("failed to remove `{}`", folder.display()))?;
    if json {
        return output::json(&json!({ "model": name, "path": folder, "freed_bytes": freed }));
    }
    output::line(&format!("removed {name} from {}, {} freed", folder.display(), mebibytes(freed)))
}

/// The model's folder in the user's directories, in whatever state it is.
fn find(name: &str, models: Option<&Path>) -> Result<PathBuf> {
    ensure!(is_model_name(name), "`{name}` cannot be a model's name; `carafe models list` shows the names");
    let own = models.map_or_else(machine::user_model_directories, |directory| vec![directory.to_owned()]);
    let folders = own.iter().map(|directory| directory.join(name));
    if let Some(folder) = folders.into_iter().find(|folder| folder.join(MANIFEST).symlink_metadata().is_ok()) {
        return Ok(folder);
    }
    let directories: Vec<_> = own.iter().map(|directory| format!("`{}`", directory.display())).collect();
    let directories = directories.join(" and ");
    match elsewhere(name)? {
        Some(folder) => {
            bail!("`{name}` is in `{}` and stays: only models in {directories} are removed", folder.display())
        }
        None => bail!("there is no model `{name}` in {directories}; `carafe models list` shows what there is"),
    }
}

/// The folder of a model that others have put where it is.
fn elsewhere(name: &str) -> Result<Option<PathBuf>> {
    let models = machine::catalogue(&ModelDirectories { models: None })?.list();
    Ok(models.into_iter().map(|(path, _)| path).find(|path| path.file_name().is_some_and(|file| file == name)))
}

/// Bytes that this has freed. First the folder gets a name that no model has, so that nobody finds
/// a part of one; a link goes, and not what it leads to.
fn remove(folder: &Path) -> io::Result<u64> {
    if folder.is_symlink() {
        return fs::remove_file(folder).map(|()| 0);
    }
    let freed = size(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let going = folder.with_file_name(hidden_name(&name, &format!("removed.{}", std::process::id())));
    let lock = File::open(folder)?;
    // Without a lock, as on a file system that has none, a folder is never taken for a leftover.
    drop(lock.try_lock());
    fs::rename(folder, &going)?;
    fs::remove_dir_all(going)?;
    Ok(freed)
}

/// Bytes of the files in a folder and below.
fn size(folder: &Path) -> io::Result<u64> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let metadata = entry.metadata()?;
        Ok(sum + if metadata.is_dir() { size(&entry.path())? } else { metadata.len() })
    })
}
