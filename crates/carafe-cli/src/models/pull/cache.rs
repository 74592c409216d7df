//! Hugging Face's cache, which its other programs read as well: contents under `blobs`, by the name
//! that the hub gives them; under `snapshots/COMMIT` a link for each file; under `refs` the commit
//! that a revision was when it was last asked for.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The folder of one repository.
pub(super) struct Cache {
    folder: PathBuf,
    revision: String,
}

impl Cache {
    /// In `home`, for one revision of a repository.
    pub(super) fn new(home: &Path, repository: &str, revision: &str) -> Self {
        let folder = home.join("hub").join(format!("models--{}", repository.replace('/', "--")));
        Self { folder, revision: revision.to_owned() }
    }

    /// Where the contents of this name lie, or will.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where they are gathered until they are whole.
    pub(super) fn part(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.part"))
    }

    /// Where a file of a commit is found.
    pub(super) fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit).join(file)
    }

    /// The file of the revision as it was last asked for, if it was fetched.
    pub(super) fn kept(&self, file: &str) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.reference()).ok()?;
        Some(self.snapshot(commit.trim(), file)).filter(|path| path.exists())
    }

    /// Names of the files of the revision, as it was last asked for, that were fetched.
    pub(super) fn kept_files(&self) -> Vec<String> {
        let Ok(commit) = fs::read_to_string(self.reference()) else { return Vec::new() };
        let entries = fs::read_dir(self.snapshot(commit.trim(), "")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Makes room for contents.
    pub(super) fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(self.folder.join("blobs"))
    }

    /// Enters contents as a file of a commit.
    pub(super) fn link(&self, etag: &str, commit: &str, file: &str) -> io::Result<()> {
        let path = self.snapshot(commit, file);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(Path::new("../../blobs").join(etag), &path)?,
        }
        let reference = self.reference();
        fs::create_dir_all(reference.parent().unwrap_or(&self.folder))?;
        fs::write(reference, commit)
    }

    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(&self.revision)
    }
}
