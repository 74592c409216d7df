//! Models by name, along a search path.
//!
//! A place is a folder whose subfolders are model folders. The first place that has a name wins, so that a user's own model can stand
//! in for a bundled one. A place that does not exist is no error: most users have only some of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::MANIFEST;
use crate::{Error, ModelFolder};

/// The places where models are looked for, first to last.
#[derive(Clone, Debug)]
pub struct Catalogue {
    places: Vec<PathBuf>,
}

impl Catalogue {
    /// A catalogue of these places.
    #[must_use]
    pub fn new(places: Vec<PathBuf>) -> Self {
        Self { places }
    }

    /// The places, first to last.
    #[must_use]
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    /// Opens the model of this name.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], and those of [`ModelFolder::open`].
    pub fn find(&self, name: &str) -> Result<ModelFolder, Error> {
        match self.folders().into_iter().find(|folder| is_named(folder, name)) {
            Some(folder) => ModelFolder::open(&folder),
            None => Err(self.unknown(name)),
        }
    }

    /// Every model, sorted by name; a folder that cannot be read gives its error beside its path.
    #[must_use]
    pub fn list(&self) -> Vec<(PathBuf, Result<ModelFolder, Error>)> {
        self.folders().into_iter().map(|folder| (folder.clone(), ModelFolder::open(&folder))).collect()
    }

    /// Model folders of all places, sorted by name, the first of each name only.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.places.iter().flat_map(|place| model_folders(place)).collect();
        folders.sort_by(|left, right| left.file_name().cmp(&right.file_name()));
        folders.dedup_by(|later, earlier| later.file_name() == earlier.file_name());
        folders
    }

    fn unknown(&self, name: &str) -> Error {
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let known = self
            .folders()
            .iter()
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let places = self.places.iter().map(|place| format!("`{}`", place.display())).collect();
        Error::UnknownModel { name: name.to_owned(), known: list(known), places: list(places) }
    }
}

fn is_named(folder: &Path, name: &str) -> bool {
    folder.file_name().is_some_and(|file_name| file_name == name)
}

/// Subfolders of a place that hold a manifest.
fn model_folders(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.join(MANIFEST).is_file()).collect()
}
