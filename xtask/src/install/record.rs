//! What an installation has put where, kept within it so that it can be taken away again.
//!
//! ```text
//! above /home/me/.local       a folder that was made so that the installation has a place
//! folder lib/carafe           a folder that was made within it
//! file bin/carafe             a file that it has put there
//! tree lib/carafe/tools       a folder that is its own with everything in it
//! ```
//!
//! A line is written before what it names is there, so that an installation that broke off can be
//! taken away. Files and trees go, folders only when they are empty: what somebody else has put
//! beside stays.

use std::fmt::Write;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Where the record lies in an installation.
pub(super) const RECORD: &str = "share/carafe/installed.txt";

/// The record of an installation in the making.
pub(super) struct Record<'a> {
    prefix: &'a Path,
    lines: String,
}

impl<'a> Record<'a> {
    /// Begins an installation, making its folder and those above if they are not there.
    pub(super) fn begin(prefix: &'a Path) -> Result<Self> {
        let mut record = Self { prefix, lines: String::new() };
        let missing: Vec<&Path> = prefix.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.iter().rev() {
            writeln!(record.lines, "above {}", folder.display())?;
        }
        record.folders_above(RECORD)?;
        make_folder_of(&prefix.join(RECORD))?;
        record.save()?;
        Ok(record)
    }

    /// Enters a file, makes the folders that it lies in, and returns its path in full.
    pub(super) fn file(&mut self, path: &str) -> Result<PathBuf> {
        self.claim("file", path)
    }

    /// Enters a folder that is the installation's own with all that will ever be in it.
    pub(super) fn tree(&mut self, path: &str) -> Result<PathBuf> {
        self.claim("tree", path)
    }

    fn claim(&mut self, kind: &str, path: &str) -> Result<PathBuf> {
        let full = self.prefix.join(path);
        ensure!(
            fs::symlink_metadata(&full).is_err(),
            "`{}` is there already and no installation has put it there; remove it, or choose another --prefix",
            full.display()
        );
        self.folders_above(path)?;
        writeln!(self.lines, "{kind} {path}")?;
        self.save()?;
        make_folder_of(&full)?;
        Ok(full)
    }

    /// Enters the folders above a path that are not there, outermost first.
    fn folders_above(&mut self, path: &str) -> Result<()> {
        let above: Vec<_> = Path::new(path).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
        for folder in above.iter().rev().filter(|folder| !self.prefix.join(folder).exists()) {
            writeln!(self.lines, "folder {}", folder.display())?;
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let path = self.prefix.join(RECORD);
        fs::write(&path, &self.lines).with_context(|| format!("failed to write `{}`", path.display()))
    }
}

/// Removes what the record of an installation names, then the folders that were made for it and are
/// empty now.
pub(super) fn remove(prefix: &Path) -> Result<()> {
    let record = prefix.join(RECORD);
    let text = fs::read_to_string(&record).with_context(|| format!("failed to read `{}`", record.display()))?;
    let entries: Vec<Entry> = text.lines().map(|line| Entry::parse(prefix, line)).collect::<Result<_>>()?;
    for entry in &entries {
        match entry {
            Entry::File(path) if fs::symlink_metadata(path).is_ok() => fs::remove_file(path),
            Entry::Tree(path) if path.exists() => fs::remove_dir_all(path),
            _ => Ok(()),
        }
        .with_context(|| format!("failed to remove `{}`", entry.path().display()))?;
    }
    fs::remove_file(&record)?;
    let folders = |entry: &&Entry| matches!(entry, Entry::Folder(_));
    for folder in entries.iter().filter(folders).rev() {
        // Fails where something else lies in it, which shall stay.
        let _ = fs::remove_dir(folder.path());
    }
    Ok(())
}

/// A line of a record, its path in full.
enum Entry {
    File(PathBuf),
    Tree(PathBuf),
    Folder(PathBuf),
}

impl Entry {
    /// Reads a line, whose path must not lead out of the installation, nor to a folder that is not
    /// above it.
    fn parse(prefix: &Path, line: &str) -> Result<Self> {
        let refused =
            || format!("`{}` has the line `{line}`, which no installation writes", prefix.join(RECORD).display());
        let (kind, path) = line.split_once(' ').with_context(refused)?;
        if kind == "above" {
            ensure!(prefix.starts_with(path), refused());
            return Ok(Self::Folder(path.into()));
        }
        let within = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(within && !path.is_empty(), refused());
        let path = prefix.join(path);
        match kind {
            "file" => Ok(Self::File(path)),
            "tree" => Ok(Self::Tree(path)),
            "folder" => Ok(Self::Folder(path)),
            _ => bail!(refused()),
        }
    }

    fn path(&self) -> &Path {
        let (Self::File(path) | Self::Tree(path) | Self::Folder(path)) = self;
        path
    }
}

fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))
}
