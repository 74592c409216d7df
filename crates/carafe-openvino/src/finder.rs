//! Finds OpenVINO on this machine, and the native layer that was built for it.
//!
//! A named path wins, and nothing else is tried then. Otherwise the caller's folders are looked
//! through in order, and last the system's own search path. In each folder the layouts of every way to
//! install OpenVINO are tried: the archive, the apt package, and the Python wheel in a virtual
//! environment or beside it. A wheel has only a versioned file (`libopenvino.so.2641`), so the
//! newest version in a folder is taken where there is no plain one. Every part is kept, with what
//! was found there, so that a failure can name them all.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

use openvino_finder::Linking;

use crate::error::Error;
use crate::searched::Searched;

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A library file or an installation's folder that the user named; nothing else is tried then.
    pub explicit: Option<PathBuf>,
    /// Folders to look through, in order, before the system's own search path.
    pub folders: Vec<PathBuf>,
    /// Folders that may hold the native layer, in order.
    pub layers: Vec<PathBuf>,
}

/// The native layer's file name.
const LAYER: &str = "libcarafe_openvino.so";

/// Where a library sits inside an installation's folder.
const LAYOUTS: &[&str] = &[
    "",
    "runtime/lib/intel64",
    "runtime/lib/intel64/Release",
    "runtime/lib/arm64",
    "runtime/lib/arm64/Release",
    "runtime/lib/aarch64",
    "runtime/lib/aarch64/Release",
    "lib",
    "lib64",
    "lib/x86_64-linux-gnu",
    "lib/aarch64-linux-gnu",
    "libs",
    "openvino/libs",
];

/// Where a wheel sits inside a folder that holds one per Python version.
const WHEEL_LAYOUTS: &[&str] = &["site-packages/openvino/libs", "dist-packages/openvino/libs"];

/// What `openvino-finder` looks through, for the message.
const SYSTEM: &str = "the system's search path (OPENVINO_INSTALL_DIR, INTEL_OPENVINO_DIR, LD_LIBRARY_PATH, /usr/lib, /usr/lib64, /opt/intel/openvino)";

impl Search {
    /// The library file, as a path without links.
    ///
    /// # Errors
    ///
    /// [`Error::LibraryNotFound`] with the search path, or [`Error::NotTheLibrary`].
    pub fn find(&self) -> Result<PathBuf, Error> {
        self.find_or(|| openvino_finder::find("openvino", Linking::Dynamic))
    }

    /// The native layer's file.
    ///
    /// # Errors
    ///
    /// [`Error::LayerNotFound`] with the search path.
    pub(crate) fn find_layer(&self) -> Result<PathBuf, Error> {
        let files = self.layers.iter().map(|folder| folder.join(LAYER));
        files.clone().find(|file| file.is_file()).ok_or_else(|| {
            let searched = files.map(|path| Searched { path, outcome: "does not exist" }).collect();
            Error::LayerNotFound { searched }
        })
    }

    fn find_or(&self, system: impl FnOnce() -> Option<PathBuf>) -> Result<PathBuf, Error> {
        if let Some(explicit) = &self.explicit {
            if explicit.is_file() {
                return accept(explicit);
            }
            return in_folder(explicit).map_or_else(|| not_found(vec![look(explicit)]), |library| accept(&library));
        }
        let mut searched = Vec::new();
        for folder in &self.folders {
            if let Some(library) = in_folder(folder) {
                return accept(&library);
            }
            searched.push(look(folder));
        }
        if let Some(library) = system() {
            return accept(&library);
        }
        searched.push(Searched { path: SYSTEM.into(), outcome: "no such library there" });
        not_found(searched)
    }
}

fn not_found(searched: Vec<Searched>) -> Result<PathBuf, Error> {
    Err(Error::LibraryNotFound { searched })
}

/// A library must have its own name: another of OpenVINO's files would load, and then lack every
/// function.
fn accept(library: &Path) -> Result<PathBuf, Error> {
    let refused = || Error::NotTheLibrary { path: library.to_owned() };
    let path = library.canonicalize().map_err(|_| refused())?;
    let named = library.file_name().and_then(|name| version_of(name.to_str()?));
    tracing::debug!(library = %path.display(), "found an OpenVINO library");
    named.map(|_| path).ok_or_else(refused)
}

fn look(path: &Path) -> Searched {
    let outcome = if path.is_dir() { "no such library in this folder" } else { "does not exist" };
    tracing::debug!(path = %path.display(), outcome, "looked for OpenVINO");
    Searched { path: path.to_owned(), outcome }
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let plain = LAYOUTS.iter().map(|layout| folder.join(layout));
    plain.chain(wheels(folder)).find_map(|folder| newest(&folder))
}

/// The wheel folders of every Python in `folder`, the newest first.
fn wheels(folder: &Path) -> Vec<PathBuf> {
    let mut pythons: Vec<(Vec<u64>, PathBuf)> = ["lib", "lib64"]
        .iter()
        .flat_map(|library| entries(&folder.join(library)))
        .filter_map(|(name, path)| Some((numbers(name.strip_prefix("python")?), path)))
        .collect();
    pythons.sort_by(|left, right| right.cmp(left));
    pythons.iter().flat_map(|(_, python)| WHEEL_LAYOUTS.iter().map(|layout| python.join(layout))).collect()
}

/// The library in exactly this folder; the plain name first, then the highest version.
fn newest(folder: &Path) -> Option<PathBuf> {
    let libraries = entries(folder).filter(|(_, path)| path.is_file());
    let versions = libraries.filter_map(|(name, path)| Some((version_of(&name)?, path)));
    versions.max_by_key(|(version, _)| (version.is_empty(), version.clone())).map(|(_, path)| path)
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = fs::read_dir(folder).ok().into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

/// The version in a library's file name, empty in the plain name, or `None` for another file.
fn version_of(file_name: &str) -> Option<Vec<u64>> {
    let rest = file_name.strip_prefix(DLL_PREFIX)?.strip_prefix("openvino")?;
    // `.so.2641` and `.so.2026.4.1` on Linux, `.2641.dylib` on macOS.
    let version = match rest.strip_suffix(DLL_SUFFIX) {
        Some(before) => before,
        None => rest.strip_prefix(DLL_SUFFIX)?,
    };
    version.chars().all(|letter| letter == '.' || letter.is_ascii_digit()).then(|| numbers(version))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    /// A folder that holds these files, each empty.
    fn installation(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        folder
    }

    fn found_in(files: &[&str]) -> Option<String> {
        let folder = installation(files);
        let root = folder.path().canonicalize().expect("a path");
        let search = Search { explicit: Some(root.clone()), ..Search::default() };
        let library = search.find_or(|| None).ok()?;
        Some(library.strip_prefix(root).expect("in the folder").display().to_string())
    }

    #[test]
    fn every_way_to_install_is_found_from_its_folder() {
        for file in [
            "libopenvino.so",
            "libopenvino.so.2641",
            "lib/x86_64-linux-gnu/libopenvino.so.2026.4.1",
            "runtime/lib/intel64/libopenvino.so",
            "openvino/libs/libopenvino.so.2641",
            "lib/python3.11/site-packages/openvino/libs/libopenvino.so.2641",
            "lib64/python3.9/site-packages/openvino/libs/libopenvino.so.2641",
            "lib/python3/dist-packages/openvino/libs/libopenvino.so.2641",
        ] {
            assert_eq!(found_in(&[file]).as_deref(), Some(file));
        }
    }

    #[test]
    fn the_plain_name_comes_first_and_then_the_newest_version() {
        let versions = ["libopenvino.so.2025.1.0", "libopenvino.so.2026.10.0", "libopenvino.so.2026.4.1"];
        assert_eq!(found_in(&versions).as_deref(), Some("libopenvino.so.2026.10.0"));
        let plain = [&versions[..], &["libopenvino.so"]].concat();
        assert_eq!(found_in(&plain).as_deref(), Some("libopenvino.so"));
        let pythons =
            ["3.9", "3.11"].map(|python| format!("lib/python{python}/site-packages/openvino/libs/libopenvino.so.2641"));
        assert_eq!(found_in(&[&pythons[0], &pythons[1]]), Some(pythons[1].clone()));
    }

    #[test]
    fn other_files_of_openvino_are_not_taken() {
        assert_eq!(found_in(&["libopenvino_c.so", "libopenvino.so.bak", "libopenvino.a", "libopenvino_c.so"]), None);
        let folder = installation(&["libopenvino_c.so.2641"]);
        let file = folder.path().join("libopenvino_c.so.2641");
        let refused = Search { explicit: Some(file), ..Search::default() }.find_or(|| None).expect_err("refused");
        assert!(matches!(refused, Error::NotTheLibrary { .. }), "{refused}");
    }

    #[test]
    fn folders_are_looked_through_in_order_before_the_system() {
        let (first, second) = (installation(&["lib/libopenvino.so"]), installation(&["libopenvino.so"]));
        let system = installation(&["libopenvino.so"]);
        let missing = first.path().join("missing");
        let find = |folders: Vec<PathBuf>| {
            let search = Search { folders, ..Search::default() };
            search.find_or(|| Some(system.path().join("libopenvino.so"))).expect("found")
        };
        let both = vec![missing.clone(), first.path().to_owned(), second.path().to_owned()];
        assert!(find(both).starts_with(first.path().canonicalize().expect("a path")));
        assert!(find(vec![missing]).starts_with(system.path().canonicalize().expect("a path")));
    }

    #[test]
    fn a_missing_library_names_the_search_path_and_what_to_do() {
        let empty = installation(&["readme.txt"]);
        let missing = empty.path().join("missing");
        let search = Search { folders: vec![empty.path().to_owned(), missing.clone()], ..Search::default() };
        let message = search.find_or(|| None).expect_err("nothing there").to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[0], "no OpenVINO library found; looked in");
        assert_eq!(lines[1], format!("  `{}`: no such library in this folder", empty.path().display()));
        assert_eq!(lines[2], format!("  `{}`: does not exist", missing.display()));
        assert!(lines[3].starts_with("  `the system's search path"), "{message}");
        assert!(lines[4].starts_with("hint: run `cargo xtask setup`, or set `CARAFE_OPENVINO`"), "{message}");
    }
}
