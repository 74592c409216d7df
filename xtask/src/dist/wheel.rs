//! The wheel: the tree without OpenVINO and without the default model, and the tools' Python
//! package. What `pip` puts where is in `carafe-cli`'s `installation`.
//!
//! hatchling makes it. What it is called, and so where pip installs it, is decided by what
//! `auditwheel` finds in it: the newest symbols of the C library that its programs want.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::tree::{DOCUMENTS, Tree};
use super::{VERSION, WORK, copy, copy_folder, empty_folder, fill_in, name, sorted_files, source_date, write};
use crate::default_model;
use crate::install::{LAYER_FOLDER, MODELS, PROGRAM, copy_of_tools};
use crate::native;
use crate::setup;
use crate::shell::{output, program, report, root, watch};

/// The library of another package that the native layer is linked with.
const OTHERS: &str = "libopenvino.so.";
/// In this order, where it says which of them are needed for what.
const PINS: &str = "tools/requirements.in";
const NEEDED: [&str; 2] = ["openvino", "numpy"];
const CONVERTING: [&str; 4] = ["ai-edge-litert", "flatbuffers", "pillow", "tokenizers"];

/// Makes the wheel and gives it the name that its contents allow.
pub(super) fn make(tree: &Tree, dist: &Path) -> Result<()> {
    let python = setup::packaging()?;
    let project = project(tree)?;
    let made = empty_folder(&format!("{WORK}/wheels"))?;
    let mut hatchling = program(&python);
    hatchling.args(["-m", "hatchling", "build", "--target", "wheel", "--directory"]).arg(&made);
    watch(hatchling.current_dir(project).env("SOURCE_DATE_EPOCH", source_date()?))?;
    let wheel = only_wheel(&made)?;
    let platform = platform(&python, &wheel)?;
    let mut tags = program(&python);
    tags.args(["-m", "wheel", "tags", "--remove", "--platform-tag", &platform]).arg(wheel);
    output(tags.env("SOURCE_DATE_EPOCH", source_date()?))?;
    let wheel = only_wheel(&made)?;
    copy(&wheel, &dist.join(name(&wheel)))
}

/// The folder that the wheel is made of.
fn project(tree: &Tree) -> Result<PathBuf> {
    let project = empty_folder(&format!("{WORK}/wheel"))?;
    let pins = fs::read_to_string(root().join(PINS))?;
    let (needed, converting) = (pinned(&pins, &NEEDED)?, pinned(&pins, &CONVERTING)?);
    let values = [("VERSION", VERSION), ("NEEDED", &needed), ("CONVERTING", &converting)];
    write(&project.join("pyproject.toml"), &fill_in("wheel/pyproject.toml.in", &values)?)?;
    for file in ["hatch_build.py", "README.md"] {
        copy(&root().join("packaging/wheel").join(file), &project.join(file))?;
    }
    copy_folder(&copy_of_tools()?.join("carafe_tools"), &project.join("carafe_tools"))?;
    copy(&tree.path(PROGRAM), &project.join(PROGRAM))?;
    let data = project.join("data");
    let layer = Path::new(LAYER_FOLDER).join(native::LAYER);
    copy(&tree.folder.join(&layer), &data.join(layer))?;
    copy_folder(&tree.path("share"), &data.join("share"))?;
    // Licences go where Python's tools look for them; OpenVINO's are in its own package.
    fs::rename(data.join(DOCUMENTS), project.join("licences"))?;
    fs::remove_dir_all(project.join("licences/openvino"))?;
    fs::remove_dir_all(data.join(MODELS).join(default_model::NAME))?;
    Ok(project)
}

/// Requirements with the versions that the tools' own file gives them, as TOML's strings.
fn pinned(pins: &str, names: &[&str]) -> Result<String> {
    let requirement = |name: &&str| {
        let lines = pins.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let found = lines.clone().find(|line| line.split("==").next() == Some(name));
        found.map(|line| format!("\"{line}\"")).with_context(|| format!("`{PINS}` does not name `{name}`"))
    };
    Ok(names.iter().map(requirement).collect::<Result<Vec<_>>>()?.join(", "))
}

/// The oldest platform that a wheel runs on, as a tag: `manylinux_2_31_x86_64`.
fn platform(python: &Path, wheel: &Path) -> Result<String> {
    let shown = output(program(python).args(["-m", "auditwheel", "show", "--json"]).arg(wheel))?;
    let shown: Value = serde_json::from_str(&shown).with_context(|| format!("auditwheel said `{shown}`"))?;
    let others = shown["external_libs"].as_object().into_iter().flatten().map(|(library, _)| library);
    if let Some(library) = others.clone().find(|library| !library.starts_with(OTHERS)) {
        bail!("the wheel needs `{library}`, which no system is sure to have and none of its dependencies brings");
    }
    let tag = shown["sym_tag"].as_str().with_context(|| format!("auditwheel names no tag: `{shown}`"))?;
    ensure!(tag.starts_with("manylinux"), "auditwheel names the tag `{tag}`; one of manylinux was expected");
    report(&format!("auditwheel: {tag}"));
    Ok(tag.to_owned())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let wheels = sorted_files(folder)?;
    let [wheel] = &wheels[..] else {
        bail!("one wheel was expected in `{}`; there are {}", folder.display(), wheels.len());
    };
    Ok(wheel.clone())
}
