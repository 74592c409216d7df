//! Models by name, along a search path.
//!
//! A model directory is a folder whose subfolders are model folders, or a model folder itself. The
//! first directory that has a name wins, so that a user's own model can stand in for a bundled one.
//! One that was named must be there; one that is only usual may be missing, since most users have
//! only some of them. What is found and cannot be used is not passed over in silence: a broken
//! model is listed with its error, and [`Catalogue::warnings`] says the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::folder::MANIFEST;
use crate::{Error, ModelFolder};

/// A directory of the search path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDirectory {
    path: PathBuf,
    named_by: Option<&'static str>,
}

impl ModelDirectory {
    /// A directory that was named, and by what (`--models`): it must be there.
    #[must_use]
    pub fn named(path: PathBuf, by: &'static str) -> Self {
        Self { path, named_by: Some(by) }
    }

    /// A directory that need not be there.
    #[must_use]
    pub fn usual(path: PathBuf) -> Self {
        Self { path, named_by: None }
    }
}

/// The models of a search path, as it was when the catalogue was opened.
#[derive(Clone, Debug)]
pub struct Catalogue {
    search_path: Vec<PathBuf>,
    /// Sorted by name, the first of each.
    folders: Vec<PathBuf>,
    hidden: Vec<Hidden>,
    warnings: Vec<String>,
}

/// A model whose name an earlier directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its folder.
    pub path: PathBuf,
    /// The folder that is used instead.
    pub by: PathBuf,
}

impl Catalogue {
    /// Looks into these directories, first to last.
    ///
    /// # Errors
    /// [`Error::Directory`] if a named one is missing or cannot be read, and those of
    /// [`ModelFolder::open`] if it is a model folder itself.
    pub fn open(directories: &[ModelDirectory]) -> Result<Self, Error> {
        let search_path = directories.iter().map(|directory| directory.path.clone()).collect();
        let mut catalogue = Self { search_path, folders: Vec::new(), hidden: Vec::new(), warnings: Vec::new() };
        for directory in directories {
            let folders = catalogue.look_into(directory)?;
            folders.into_iter().for_each(|folder| catalogue.add(folder));
        }
        catalogue.folders.sort_by(|left, right| left.file_name().cmp(&right.file_name()));
        Ok(catalogue)
    }

    /// The search path, first to last.
    #[must_use]
    pub fn search_path(&self) -> &[PathBuf] {
        &self.search_path
    }

    /// Models that are not used, since an earlier directory has their name.
    #[must_use]
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// A sentence for each directory that cannot be used as it was probably meant.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Opens the model of this name.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], and those of [`ModelFolder::open`].
    pub fn find(&self, name: &str) -> Result<ModelFolder, Error> {
        let is_named = |folder: &&PathBuf| folder.file_name().is_some_and(|file_name| file_name == name);
        match self.folders.iter().find(is_named) {
            Some(folder) => ModelFolder::open(folder),
            None => Err(self.unknown(name)),
        }
    }

    /// Every model, sorted by name; a folder that cannot be read gives its error beside its path.
    #[must_use]
    pub fn list(&self) -> Vec<(PathBuf, Result<ModelFolder, Error>)> {
        self.folders.iter().map(|folder| (folder.clone(), ModelFolder::open(folder))).collect()
    }

    /// The model folders of a directory.
    fn look_into(&mut self, directory: &ModelDirectory) -> Result<Vec<PathBuf>, Error> {
        let ModelDirectory { path, named_by } = directory;
        let problem = match (model_folders(path), named_by) {
            (Ok(folders), None) => return Ok(folders),
            (Ok(folders), Some(named_by)) => {
                if folders.is_empty() {
                    self.warnings.push(format!("{named_by} names `{}`, which holds no model folder", path.display()));
                }
                // It alone was meant then, and no other model may stand in for it if it is broken.
                if is_model_folder(path) {
                    folders.iter().try_for_each(|folder| ModelFolder::open(folder).map(drop))?;
                }
                return Ok(folders);
            }
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            (Err(error), _) => problem(&error),
        };
        match *named_by {
            Some(named_by) => Err(Error::Directory { named_by, path: path.clone(), problem }),
            None => {
                self.warnings.push(format!("models are looked for in `{}`, which {problem}", path.display()));
                Ok(Vec::new())
            }
        }
    }

    fn add(&mut self, folder: PathBuf) {
        match self.folders.iter().find(|earlier| earlier.file_name() == folder.file_name()) {
            Some(by) if is_same(by, &folder) => {}
            Some(by) => self.hidden.push(Hidden { path: folder, by: by.clone() }),
            None => self.folders.push(folder),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let names = self.folders.iter().filter_map(|folder| folder.file_name());
        let known = names.map(|name| name.to_string_lossy().into_owned()).collect();
        let directories = self.search_path.iter().map(|directory| format!("`{}`", directory.display())).collect();
        Error::UnknownModel { name: name.to_owned(), known: list(known), directories: list(directories) }
    }
}

/// What is wrong with a directory, to follow its path and `which`.
fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::NotADirectory => "is not a folder".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The directory itself if it is a model folder, else those of its subfolders that are.
fn model_folders(directory: &Path) -> io::Result<Vec<PathBuf>> {
    if is_model_folder(directory) {
        return Ok(vec![with_a_name(directory)?]);
    }
    let paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| is_meant_as_model(path)).collect())
}

fn is_model_folder(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

/// Whether two paths lead to one folder, as those of a directory that is named and usual as well.
fn is_same(left: &Path, right: &Path) -> bool {
    left.canonicalize().is_ok_and(|left| right.canonicalize().is_ok_and(|right| left == right))
}

/// The path, in full if it does not end in a name: `.`, `models/..`.
fn with_a_name(path: &Path) -> io::Result<PathBuf> {
    if path.file_name().is_some() { Ok(path.to_owned()) } else { path.canonicalize() }
}

/// Whether a path holds a manifest, or it cannot be said: opening it then tells why. Names with a
/// dot before them are no models' names.
fn is_meant_as_model(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let has_manifest = || match fs::metadata(path.join(MANIFEST)) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.is_symlink() && !path.exists(),
        Err(error) => error.kind() != io::ErrorKind::NotADirectory,
    };
    !is_hidden && has_manifest()
}
