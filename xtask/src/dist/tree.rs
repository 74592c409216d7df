//! An installation with everything in it, which runs from wherever it lies.
//!
//! ```text
//! bin/carafe
//! lib/carafe/libcarafe_openvino.so, lib/carafe/openvino/libs/
//! share/carafe/models/NAME/                the bundled models, and the default one
//! share/man/man1/, share/bash-completion/, …
//! share/doc/carafe/                        licences, and what it was built with
//! ```

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::build::Built;
use super::{VERSION, WORK, copy, copy_folder, empty_folder, licences, name, write};
use crate::default_model;
use crate::install::{
    COMPLETIONS, LAYER_FOLDER, MANUAL, MODELS, OPENVINO, PROGRAM, bundled_models, files, needed_libraries,
};
use crate::native;
use crate::shell::{output, program, root, run, step};

/// Where documents are.
pub(super) const DOCUMENTS: &str = "share/doc/carafe";
/// Licences that the wheel of OpenVINO brings, beside its folder.
const OPENVINO_LICENCES: &str = "licenses";

/// The finished tree.
pub(super) struct Tree {
    pub(super) folder: PathBuf,
}

impl Tree {
    /// Fills the tree, and runs what is in it.
    pub(super) fn make(built: &Built) -> Result<Self> {
        let tree = Self { folder: empty_folder(&format!("{WORK}/tree/{}", Self::name()))? };
        step("lay out the program, OpenVINO and the models", || tree.fill(built))?;
        let models = root().join(WORK).join("models");
        // A model's folder is there whole or not at all.
        if !models.join(default_model::NAME).is_dir() {
            default_model::make(|| tree.carafe(), &models)?;
        }
        step("put the default model, manual pages and completions beside them", || {
            copy_folder(&models.join(default_model::NAME), &tree.path(MODELS).join(default_model::NAME))?;
            tree.manual()?;
            // Whatever the umask was.
            run(program("chmod").args(["--recursive", "u=rwX,go=rX"]).arg(&tree.folder))?;
            tree.try_out()
        })?;
        Ok(tree)
    }

    /// What the tree's folder is called.
    pub(super) fn name() -> String {
        format!("carafe-{VERSION}-linux-x86_64")
    }

    /// A file or folder in it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn fill(&self, built: &Built) -> Result<()> {
        copy(&built.program(), &self.path(PROGRAM))?;
        copy(&built.layer(), &self.path(LAYER_FOLDER).join(native::LAYER))?;
        for library in needed_libraries(&built.openvino)? {
            copy(&library, &self.path(OPENVINO).join("libs").join(name(&library)))?;
        }
        for model in bundled_models()? {
            copy_folder(&model, &self.path(MODELS).join(name(&model)))?;
        }
        self.documents(built)
    }

    fn documents(&self, built: &Built) -> Result<()> {
        let documents = self.path(DOCUMENTS);
        for document in ["LICENSE", "NOTICE.md"] {
            copy(&root().join(document), &documents.join(document))?;
        }
        write(&documents.join("LICENCES-OF-CRATES.txt"), &licences::of_crates()?)?;
        write(&documents.join("BUILT-WITH.txt"), &built.built_with()?)?;
        copy_folder(&licences_of_openvino(&built.openvino)?, &documents.join("openvino"))
    }

    fn manual(&self) -> Result<()> {
        let pages = self.path(MANUAL);
        fs::create_dir_all(&pages)?;
        run(self.carafe().arg("manual").arg(&pages))?;
        for (shell, place) in COMPLETIONS {
            write(&self.path(place), &(output(self.carafe().args(["completions", shell]))? + "\n"))?;
        }
        Ok(())
    }

    /// The program in it, with nothing of this machine in its environment.
    fn carafe(&self) -> Command {
        let mut carafe = program(self.path(PROGRAM));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARAFE_")) {
            carafe.env_remove(name);
        }
        carafe
    }

    /// Runs each task once.
    fn try_out(&self) -> Result<()> {
        output(self.carafe().args([
            "generate",
            "--model",
            "tales",
            "--prompt",
            "Once upon a time",
            "--max-tokens",
            "4",
        ]))?;
        output(self.carafe().args(["classify", "images/cat_720p.jpg"])).map(drop)
    }
}

/// The licences in the metadata of OpenVINO's wheel.
fn licences_of_openvino(openvino: &Path) -> Result<PathBuf> {
    let packages = openvino.parent().unwrap_or(openvino);
    let entries = fs::read_dir(packages).with_context(|| format!("failed to read `{}`", packages.display()))?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let metadata = |folder: &PathBuf| name(folder).starts_with("openvino-") && name(folder).ends_with(".dist-info");
    let mut licences = folders.filter(metadata).map(|folder| folder.join(OPENVINO_LICENCES));
    licences
        .find(|folder| files(folder).is_ok_and(|files| !files.is_empty()))
        .with_context(|| format!("the wheel of OpenVINO in `{}` has no licences in its metadata", packages.display()))
}
