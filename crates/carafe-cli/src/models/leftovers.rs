//! What a command that was killed leaves in a folder of models: a hidden folder, in which a model
//! was being made or removed.
//!
//! The process at work in such a folder holds its lock (`flock`), which the kernel frees when the
//! process ends, however it ends. So a folder whose lock is free is nobody's. It is made and locked
//! while its maker holds the lock of the folder of models, and is never seen before it is locked.
//! Where a file system has no locks nothing is removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::output;

/// What the names of such folders begin with; the tools' `folder.py` has the same.
const PREFIX: &str = ".carafe-";
/// In such a folder: the model that was there before, until the new one has taken its name.
const REPLACED: &str = ".replaced";

/// The name of a hidden folder for work on a model, and what makes it one of its kind.
pub(super) fn hidden_name(model: &str, mark: &str) -> String {
    format!("{PREFIX}{model}.{mark}")
}

/// Removes what killed commands have left in a folder of models, and says so.
pub(super) fn clear(directory: &Path) {
    match clear_free(directory) {
        Ok(removed) => removed.iter().for_each(|folder| {
            output::note(&format!("removed `{}`, which a command that was killed had left", folder.display()));
        }),
        Err(error) => output::note(&format!(
            "what killed commands have left in `{}` was not removed: {error}",
            directory.display()
        )),
    }
}

fn clear_free(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let hidden = hidden(directory)?;
    if hidden.is_empty() || !is_free(&File::open(directory)?)? {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for folder in hidden {
        if remove_if_free(directory, &folder)? {
            removed.push(folder);
        }
    }
    Ok(removed)
}

fn hidden(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match directory.read_dir() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_if_free(directory: &Path, folder: &Path) -> io::Result<bool> {
    let lock = match File::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    if !is_free(&lock)? {
        return Ok(false);
    }
    restore(directory, folder)?;
    fs::remove_dir_all(folder)?;
    Ok(true)
}

/// Takes a lock unless another process has it; it is held as long as the file is open.
fn is_free(lock: &File) -> io::Result<bool> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Gives a model its name back that was put aside for one which never took it.
fn restore(directory: &Path, folder: &Path) -> io::Result<()> {
    let replaced = folder.join(REPLACED);
    if !replaced.is_dir() {
        return Ok(());
    }
    for entry in replaced.read_dir()? {
        let entry = entry?;
        let model = directory.join(entry.file_name());
        if model.symlink_metadata().is_err() {
            fs::rename(entry.path(), model)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_nobody_holds_is_removed_and_one_that_is_held_stays() {
        let directory = tempfile::tempdir().expect("a folder");
        let (left, held) = (directory.path().join(".carafe-left.a1"), directory.path().join(".carafe-held.b2"));
        for folder in [&left, &held, &directory.path().join("model"), &directory.path().join(".other")] {
            fs::create_dir(folder).expect("made");
        }
        let lock = File::open(&held).expect("opened");
        lock.lock().expect("locked");
        assert_eq!(clear_free(directory.path()).expect("cleared"), [left]);
        assert!(held.is_dir() && directory.path().join("model").is_dir() && directory.path().join(".other").is_dir());
        drop(lock);
        assert_eq!(clear_free(directory.path()).expect("cleared"), [held]);
    }

    #[test]
    fn a_model_that_was_put_aside_comes_back_unless_a_new_one_is_there() {
        let directory = tempfile::tempdir().expect("a folder");
        let aside = directory.path().join(".carafe-model.a1").join(REPLACED).join("model");
        for is_there in [false, true] {
            fs::create_dir_all(&aside).expect("made");
            fs::write(aside.join("which"), if is_there { "older" } else { "old" }).expect("written");
            assert_eq!(clear_free(directory.path()).expect("cleared").len(), 1);
            assert_eq!(fs::read_to_string(directory.path().join("model/which")).expect("read"), "old");
        }
    }

    #[test]
    fn while_another_process_makes_a_folder_nothing_is_removed() {
        let directory = tempfile::tempdir().expect("a folder");
        fs::create_dir(directory.path().join(".carafe-new.a1")).expect("made");
        let lock = File::open(directory.path()).expect("opened");
        lock.lock().expect("locked");
        assert!(clear_free(directory.path()).expect("nothing").is_empty());
        assert!(clear_free(&directory.path().join("nowhere")).expect("nothing").is_empty());
    }
}
