//! The native layer of `carafe-openvino`: C++ that is compiled against the very OpenVINO that was
//! found.
//!
//! OpenVINO's C++ interface changes with every version, so what is built here serves one version
//! only and says so when it is loaded. It is left alone as long as its source, its command and
//! OpenVINO's file are the same.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use carafe_openvino::Search;

use crate::shell::{output, program, root, step};

/// The layer's source, and below it what is built.
const FOLDER: &str = "crates/carafe-openvino/native";
const SOURCE: &str = "carafe_openvino.cpp";
const HEADER: &str = "carafe_openvino.h";
/// The layer's file.
pub(crate) const LAYER: &str = "libcarafe_openvino.so";
/// How it is compiled.
const FLAGS: [&str; 4] = ["-O2", "-fPIC", "-shared", "-fvisibility=hidden"];
/// Where OpenVINO's headers are, seen from the folder of its library: in a wheel, in an archive, in
/// a system.
const INCLUDES: [&str; 3] = ["../include", "../../../include", "../../include"];

/// Builds the layer for the OpenVINO of `CARAFE_OPENVINO`, or else of `.venv`, where a built
/// program looks for it.
pub(crate) fn build() -> Result<()> {
    let explicit = env::var_os("CARAFE_OPENVINO").filter(|path| !path.is_empty()).map(PathBuf::from);
    let search = Search { explicit, folders: vec![root().join(".venv")], ..Search::default() };
    build_for(&search, &root().join(FOLDER).join("built"))
}

/// Builds the layer into a folder.
pub(crate) fn build_for(search: &Search, folder: &Path) -> Result<()> {
    let library = search.find()?;
    let layer = folder.join(LAYER);
    let mut compiler = compiler(&library)?;
    compiler.args(FLAGS).arg("-o").arg(&layer).arg(SOURCE).arg(&library);
    let (stamp, stamp_file) = (stamp(&compiler, &library)?, folder.join("stamp.txt"));
    if layer.is_file() && fs::read_to_string(&stamp_file).is_ok_and(|built| built == stamp) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    step("build the native layer", || run_compiler(&mut compiler))?;
    fs::write(&stamp_file, stamp).with_context(|| format!("failed to write `{}`", stamp_file.display()))
}

/// The words of a command that compiles the layer with `c++` from the source tree's root, but for
/// `-o FILE`.
pub(crate) fn words(library: &Path) -> Result<Vec<OsString>> {
    let mut command = compiler(library)?;
    command.args(FLAGS).arg(root().join(FOLDER).join(SOURCE)).arg(library);
    Ok(iter::once("c++".into()).chain(command.get_args().map(OsStr::to_owned)).collect())
}

/// Warnings of the layer's source as errors.
pub(crate) fn lint() -> Result<()> {
    let search = Search { folders: vec![root().join(".venv")], ..Search::default() };
    let mut compiler = compiler(&search.find()?)?;
    run_compiler(compiler.args(["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only", SOURCE]))
}

/// A C++ compiler that finds OpenVINO's headers.
fn compiler(library: &Path) -> Result<Command> {
    let folder = library.parent().unwrap_or(library);
    let includes = INCLUDES.iter().map(|include| folder.join(include));
    let include = includes.into_iter().find(|include| include.join("openvino/openvino.hpp").is_file());
    let include = include.with_context(|| {
        format!(
            "the C++ headers of the OpenVINO at `{}` were not found; install its development files",
            library.display()
        )
    })?;
    let mut compiler = program(env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    compiler.current_dir(root().join(FOLDER));
    // As a system's headers: their warnings are not ours.
    compiler.arg("-std=c++17").arg("-isystem").arg(include);
    Ok(compiler)
}

fn run_compiler(compiler: &mut Command) -> Result<()> {
    output(compiler).map(drop).context("a C++ compiler is needed (Debian: `apt install g++`; `CXX` names another)")
}

/// What the built layer depends on.
fn stamp(compiler: &Command, library: &Path) -> Result<String> {
    let text = |name: &str| fs::read_to_string(root().join(FOLDER).join(name));
    let (source, header) = (text(SOURCE)?, text(HEADER)?);
    let file = fs::metadata(library)?;
    let changed = file.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
    Ok(format!("{compiler:?}\n{} bytes, changed at {changed}\n{header}\n{source}", file.len()))
}
