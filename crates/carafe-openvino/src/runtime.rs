//! OpenVINO and the native layer, loaded once a process.
//!
//! A process has one OpenVINO for good, with one core for all graphs: loading the same file again
//! is free, another file is an error. The layer runs on the very version that it was built for, and
//! every other is refused: the interface between the two is C++, which no version keeps.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::finder::Search;
use crate::native::Native;

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded OpenVINO.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) native: &'static Native,
    library_path: PathBuf,
}

impl Runtime {
    /// Finds OpenVINO and the native layer, and loads both.
    ///
    /// # Errors
    ///
    /// When no library or no layer is found (naming every place), when one cannot be loaded, when
    /// the layer was built for another version, or when this process has loaded another OpenVINO
    /// before.
    pub fn load(search: &Search) -> Result<Self, Error> {
        let library_path = search.find()?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(loaded) if loaded.library_path == library_path => Ok(loaded.clone()),
            Some(loaded) => Err(Error::OtherLibraryLoaded { loaded: loaded.library_path.clone(), asked: library_path }),
            None => Ok(loaded.insert(Self::load_first(search, library_path)?).clone()),
        }
    }

    fn load_first(search: &Search, library_path: PathBuf) -> Result<Self, Error> {
        let native = Native::load(&library_path, || search.find_layer())?;
        tracing::info!(version = native.version, library = %library_path.display(), "OpenVINO loaded");
        Ok(Self { native, library_path })
    }

    /// The version, as OpenVINO itself says it: `2026.4.1-…`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.native.version
    }

    /// The native layer in use.
    #[must_use]
    pub fn layer_path(&self) -> &Path {
        &self.native.layer
    }

    /// The library file in use.
    #[must_use]
    pub fn library_path(&self) -> &Path {
        &self.library_path
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenVINO {} at `{}`", self.version(), self.library_path.display())
    }
}
