//! What is compiled: the program and the native layer, by `packaging/build.sh`.
//!
//! A program runs where the C library is as new as the one that it was built with. So this happens
//! in the root of an old Debian, with that Debian's C++ compiler and this machine's Rust, which
//! runs there as it is (`packaging/build_in_root.py`).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{WORK, name};
use crate::install::{files, openvino_of};
use crate::shell::{cargo, long_step, program, root, run};
use crate::{native, show};

const IN_ROOT: &str = "packaging/build_in_root.py";
const SCRIPT: &str = "packaging/build.sh";

/// What `build.sh` leaves.
pub(super) struct Built {
    folder: PathBuf,
    /// The folder of OpenVINO's wheel.
    pub(super) openvino: PathBuf,
}

impl Built {
    pub(super) fn program(&self) -> PathBuf {
        self.folder.join("carafe")
    }

    pub(super) fn layer(&self) -> PathBuf {
        self.folder.join(native::LAYER)
    }

    /// The packages of Debian that both need; nothing where dpkg-dev was not there to say.
    pub(super) fn depends(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("depends.txt")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The system, compilers and C library that it was built with.
    pub(super) fn built_with(&self) -> Result<String> {
        fs::read_to_string(self.folder.join("built-with.txt")).context("failed to read what it was built with")
    }
}

/// Builds in a root, or here.
pub(super) fn build(here: bool) -> Result<Built> {
    let folder = format!("{WORK}/{}", if here { "build-here" } else { "build" });
    let openvino = openvino_of(&root().join(".venv"))?;
    let library = library(&openvino)?;
    let relative = |path: &Path| path.strip_prefix(root()).unwrap_or(path).as_os_str().to_owned();
    let mut words: Vec<OsString> = vec![folder.clone().into(), relative(&openvino.join("libs"))];
    words.extend(native::words(&library)?.iter().map(|word| relative(Path::new(word))));
    // The root has no network.
    run(&mut cargo(&["fetch", "--locked"]))?;
    long_step("build carafe and the native layer", show::BUILD_TIME, || {
        if here {
            return run(program("sh").arg(SCRIPT).args(&words));
        }
        let mut build = program("python3");
        build.args([IN_ROOT, "--roots", &format!("{WORK}/roots"), "--"]).args(&words);
        run(&mut build).context(
            "nothing was built in a root of an old Debian; `cargo xtask dist --here` builds on this machine as it is, \
             for systems that are as new",
        )
    })?;
    Ok(Built { folder: root().join(folder), openvino })
}

/// `libopenvino.so.VERSION` of a wheel.
fn library(openvino: &Path) -> Result<PathBuf> {
    let libraries = files(&openvino.join("libs"))?;
    let library = libraries.into_iter().find(|file| name(file).starts_with("libopenvino.so"));
    library.with_context(|| format!("`{}` has no libopenvino.so", openvino.display()))
}
