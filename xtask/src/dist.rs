//! What people install without compiling: a wheel, an archive for machines without Python, a Debian
//! package, and the `Containerfile` that makes an image of the archive.
//!
//! - `build`: what is compiled, in the oldest Debian that the mirror still has, or on this machine
//! - `tree`: one installation of it, with everything; all artefacts are made from it
//! - `licences`: the licences of all crates in it
//! - `wheel`, `archive`, `debian`: the artefacts
//!
//! Everything is made anew but for what takes minutes and has not changed: the root, what cargo has
//! compiled, and the default model. Files are in the order of their names and have the time of the
//! commit, so that the same input gives the same bytes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use carafe_models::folder::sha256;

use crate::install::files;
use crate::shell::{output, program, report, root, run, step};
use crate::{guests, setup};

mod archive;
mod build;
mod debian;
mod licences;
mod tree;
mod wheel;

/// Where the artefacts are put, which is the context of an image's build as well.
const DIST: &str = "target/dist";
/// Where they are made.
const WORK: &str = "target/dist-work";
const SUMS: &str = "SHA256SUMS";
const CONTAINERFILE: &str = "Containerfile";
const TRY: &str = "packaging/try_dist.py";

/// The version of everything.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes all artefacts.
pub(crate) fn dist(here: bool) -> Result<()> {
    setup::wheel()?;
    setup::adding()?;
    guests::build()?;
    let built = build::build(here)?;
    let dist = empty_folder(DIST)?;
    let tree = tree::Tree::make(&built)?;
    step("pack the archive", || archive::pack(&tree, &dist))?;
    step("make the wheel", || wheel::make(&tree, &dist))?;
    step("make the Debian package", || debian::make(&tree, &built, &dist))?;
    fs::copy(root().join(CONTAINERFILE), dist.join(CONTAINERFILE))?;
    sum(&dist)?;
    for file in sorted_files(&dist)? {
        report(&format!("{}: {:.1} MB", file.display(), fs::metadata(&file)?.len() as f64 / 1e6));
    }
    Ok(())
}

/// Tries the artefacts in fresh roots.
pub(crate) fn try_out() -> Result<()> {
    ensure!(
        root().join(DIST).join(SUMS).is_file(),
        "there is nothing to try: `{DIST}` has no `{SUMS}`; run `cargo xtask dist`"
    );
    run(program("python3").arg(TRY).args(["--dist", DIST, "--roots", &format!("{WORK}/roots")]))
}

/// Sums of all artefacts, as `sha256sum --check` reads them.
fn sum(dist: &Path) -> Result<()> {
    let line = |file: &PathBuf| Ok(format!("{}  {}\n", sha256(file)?, name(file)));
    let lines = sorted_files(dist)?.iter().map(line).collect::<Result<String>>()?;
    fs::write(dist.join(SUMS), lines).with_context(|| format!("failed to write `{}`", dist.join(SUMS).display()))
}

/// The time that all files have, in seconds: that of the commit, unless the usual variable says
/// another.
fn source_date() -> Result<String> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(time) if !time.is_empty() => Ok(time),
        _ => output(program("git").args(["log", "-1", "--format=%ct"]))
            .context("no time for the files: outside a git checkout set SOURCE_DATE_EPOCH"),
    }
}

/// A folder for what is made, empty.
fn empty_folder(path: &str) -> Result<PathBuf> {
    let folder = root().join(path);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("failed to empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    Ok(folder)
}

/// Copies a file, making the folder that it is to lie in.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(from, to).with_context(|| format!("failed to copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

/// Copies a folder with all that is in it, links as links.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    run(program("cp").args(["--recursive", "--no-dereference", "--no-target-directory"]).args([from, to]))
}

/// Writes a file, making the folder that it is to lie in.
fn write(to: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::write(to, text).with_context(|| format!("failed to write `{}`", to.display()))
}

/// A template of `packaging/`, with the values for its `@NAME@`s.
fn fill_in(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let path = root().join("packaging").join(template);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    Ok(values.iter().fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value)))
}

fn sorted_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files(folder)?;
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
