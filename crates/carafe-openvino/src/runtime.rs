//! The native library, loaded once a process.
//!
//! The bindings keep the loaded library in a static of their own, so a process has one OpenVINO for good: loading the
//! same file again is free, another file is an error. A library older than 2025.1 is refused, since element types were
//! renumbered then and every tensor would be made with the wrong type.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::finder::Search;

/// The oldest version whose element types the bindings know.
const OLDEST: [u32; 2] = [2025, 1];

static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A loaded OpenVINO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    version: String,
    library_path: PathBuf,
}

impl Runtime {
    /// Finds the library and loads it.
    ///
    /// # Errors
    ///
    /// When no library is found (naming every place), when it cannot be loaded, is too old, or when this process has
    /// loaded another one before.
    pub fn load(search: &Search) -> Result<Self, Error> {
        let library_path = search.find()?;
        load_once(&library_path)?;
        let version = openvino::version().build_number;
        if is_too_old(&version) {
            return Err(Error::LibraryTooOld { path: library_path, version });
        }
        tracing::info!(%version, library = %library_path.display(), "OpenVINO loaded");
        Ok(Self { version, library_path })
    }

    /// The version, as OpenVINO itself says it: `2026.4.1-…`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library file in use.
    #[must_use]
    pub fn library_path(&self) -> &Path {
        &self.library_path
    }
}

fn load_once(path: &Path) -> Result<(), Error> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some(loaded) if loaded == path => Ok(()),
        Some(loaded) => Err(Error::OtherLibraryLoaded { loaded: loaded.clone(), asked: path.to_owned() }),
        None => {
            openvino_sys::load_from(path.to_owned()).map_err(|reason| Error::LibraryRefused { reason })?;
            *loaded = Some(path.to_owned());
            Ok(())
        }
    }
}

/// A version that does not start with two numbers is somebody's own build, and theirs to know.
fn is_too_old(version: &str) -> bool {
    let parts: Vec<u32> = version.split(['.', '-']).take(2).map_while(|part| part.parse().ok()).collect();
    parts.len() == OLDEST.len() && parts[..] < OLDEST[..]
}

#[cfg(test)]
mod tests {
    use super::is_too_old;

    #[test]
    fn versions_before_2025_1_are_too_old() {
        for version in ["2024.6.0-17404-4c0f47d2335", "2025.0.0-1", "2023.3"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["2025.1.0-18503-6fec06580ab", "2026.4.1-22155-", "2026.0", "custom_main_1"] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
