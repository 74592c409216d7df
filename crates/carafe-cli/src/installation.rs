//! Where an installed program lies, and what lies around it.
//!
//! ```text
//! PREFIX/bin/carafe                            this program
//! PREFIX/lib/carafe/libcarafe_openvino.so      the native layer
//! PREFIX/share/carafe/models                   the bundled models
//! PREFIX/lib/carafe/openvino/libs              OpenVINO, from `cargo xtask install`, the archive, the Debian package
//! PREFIX/lib/python3.11/site-packages/openvino the same where pip has installed the program
//! ```
//!
//! pip puts all that the wheel holds below one prefix: that of a virtual environment, `~/.local`
//! (`pip install --user`) or `/usr/local`. Packages that the wheel needs usually lie in the same
//! folder of packages as its own; where one was there before, in a folder that this Python reads as
//! well, that Python says where.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every installation has.
pub(crate) const MODELS: &str = "share/carafe/models";
/// The native layer, and OpenVINO unless it is a Python package.
pub(crate) const LIBRARIES: &str = "lib/carafe";
/// The tools' Python, where `cargo xtask install` made one.
const TOOLS_PYTHON: &str = "lib/carafe/tools/bin/python";
/// What pip leaves in the folder of packages of the wheel that this program came in.
const WHEEL: &str = concat!("carafe_openvino-", env!("CARGO_PKG_VERSION"), ".dist-info");

/// An installation of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    prefix: PathBuf,
}

/// A folder of Python packages, and the Python that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packages {
    folder: PathBuf,
    /// `python3.11`, say.
    python: String,
}

impl Installation {
    /// That of the running program; nothing where it runs from the source tree's `target`.
    pub(crate) fn of_this_program() -> Option<Self> {
        let binary = env::current_exe().ok()?.canonicalize().ok()?;
        Self::at(binary.ancestors().nth(2)?)
    }

    fn at(prefix: &Path) -> Option<Self> {
        prefix.join(MODELS).is_dir().then(|| Self { prefix: prefix.to_owned() })
    }

    /// A file or folder of it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.prefix.join(path)
    }

    /// Folders that may hold OpenVINO.
    pub(crate) fn openvino(&self) -> Vec<PathBuf> {
        let packages = self.packages().map(|packages| packages.openvino(&self.prefix));
        [self.path(LIBRARIES)].into_iter().chain(packages).collect()
    }

    /// Pythons that may have the conversion tools, the likeliest first.
    pub(crate) fn pythons(&self) -> Vec<PathBuf> {
        let of_packages = self.packages().into_iter().flat_map(|packages| packages.pythons(&self.prefix));
        [self.path(TOOLS_PYTHON)].into_iter().chain(of_packages).collect()
    }

    /// The folder of packages that pip has put this program's wheel into; of the newest Python, if
    /// several Pythons share the prefix.
    fn packages(&self) -> Option<Packages> {
        let libraries = ["lib", "lib64"].map(|library| self.path(library));
        let pythons =
            libraries.iter().flat_map(|library| names(library).into_iter().map(|name| (library.clone(), name)));
        let mut pythons: Vec<_> =
            pythons.filter_map(|(library, name)| Some((minor_version(&name)?, library, name))).collect();
        pythons.sort_by(|left, right| right.cmp(left));
        pythons.into_iter().find_map(|(_, library, python)| {
            let folders = ["site-packages", "dist-packages"].map(|folder| library.join(&python).join(folder));
            let folder = folders.into_iter().find(|folder| folder.join(WHEEL).is_dir())?;
            Some(Packages { folder, python })
        })
    }
}

impl Packages {
    /// The folder with OpenVINO's `libs`: beside the wheel's own packages, or else where Python
    /// finds it.
    fn openvino(&self, prefix: &Path) -> PathBuf {
        let beside = self.folder.join("openvino");
        if beside.is_dir() {
            return beside;
        }
        self.pythons(prefix).iter().find_map(|python| openvino_of(python)).unwrap_or(beside)
    }

    /// The environment's own Python, or the system's of the same version.
    fn pythons(&self, prefix: &Path) -> Vec<PathBuf> {
        let own = prefix.join("bin").join(&self.python);
        if own.exists() { vec![own] } else { vec![PathBuf::from(&self.python)] }
    }
}

/// Where a Python would import OpenVINO from, without importing it.
fn openvino_of(python: &Path) -> Option<PathBuf> {
    let ask = "import importlib.util as u; print(u.find_spec('openvino').submodule_search_locations[0])";
    let mut command = Command::new(python);
    let output = command.args(["-c", ask]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    (output.status.success() && folder.is_dir()).then_some(folder)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The second number of `python3.11`.
fn minor_version(name: &str) -> Option<u32> {
    name.strip_prefix("python3.")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An installation with these folders.
    fn installed(folders: &[&str]) -> (tempfile::TempDir, Installation) {
        let prefix = tempfile::tempdir().expect("a folder");
        for folder in [MODELS].iter().chain(folders) {
            fs::create_dir_all(prefix.path().join(folder)).expect("made");
        }
        let installation = Installation::at(prefix.path()).expect("an installation");
        (prefix, installation)
    }

    fn wheel_in(packages: &str) -> String {
        format!("{packages}/{WHEEL}")
    }

    #[test]
    fn a_folder_without_bundled_models_is_no_installation() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Installation::at(folder.path()), None);
    }

    #[test]
    fn without_a_wheel_openvino_is_in_the_installation_alone() {
        let (_prefix, installation) = installed(&["lib/python3.11/site-packages/openvino"]);
        assert_eq!(installation.openvino(), [installation.path("lib/carafe")]);
        assert_eq!(installation.pythons(), [installation.path("lib/carafe/tools/bin/python")]);
    }

    #[test]
    fn a_wheel_has_its_openvino_beside_it_in_every_kind_of_environment() {
        for packages in [
            "lib/python3.11/site-packages",   // a virtual environment, or `pip install --user`
            "lib/python3.13/dist-packages",   // Debian's own pip
            "lib64/python3.12/site-packages", // Fedora's own pip
        ] {
            let (_prefix, installation) = installed(&[&wheel_in(packages), &format!("{packages}/openvino/libs")]);
            let beside = installation.path(packages).join("openvino");
            assert_eq!(installation.openvino(), [installation.path("lib/carafe"), beside]);
        }
    }

    #[test]
    fn the_python_is_the_one_whose_packages_hold_this_very_version() {
        let other = "lib/python3.13/site-packages/carafe_openvino-0.0.1.dist-info";
        let (_prefix, installation) = installed(&[&wheel_in("lib/python3.9/site-packages"), other]);
        assert_eq!(installation.pythons()[1..], [PathBuf::from("python3.9")]);
        let two = [wheel_in("lib/python3.9/site-packages"), wheel_in("lib/python3.12/site-packages")];
        let (_prefix, installation) = installed(&[&two[0], &two[1], "bin/python3.12"]);
        assert_eq!(installation.pythons()[1..], [installation.path("bin/python3.12")]);
    }

    #[test]
    fn an_openvino_that_was_there_before_is_where_the_python_says() {
        let (prefix, installation) =
            installed(&[&wheel_in("lib/python3.11/site-packages"), "bin", "elsewhere/openvino"]);
        let openvino = prefix.path().join("elsewhere/openvino");
        let python = prefix.path().join("bin/python3.11");
        fs::write(&python, format!("#!/bin/sh\necho {}\n", openvino.display())).expect("written");
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("a program");
        assert_eq!(installation.openvino()[1], openvino);
    }
}
