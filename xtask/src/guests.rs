//! The guests: compiled to WebAssembly and wrapped as components, into `guests/built`.
//!
//! A component whose bytes did not change is left alone, so that what is precompiled from it is not
//! made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

use crate::setup::{GuestToolchain, WASM};
use crate::shell::{long_step, report, root, run};

/// Each guest: its folder under `guests/`, and its package.
const GUESTS: [(&str, &str); 3] =
    [("text", "carafe-guest-text"), ("image", "carafe-guest-image"), ("hostile", "carafe-guest-hostile")];

/// Builds every guest that changed.
pub(crate) fn build() -> Result<()> {
    let toolchain = GuestToolchain::get()?;
    let built = root().join("guests/built");
    fs::create_dir_all(&built).with_context(|| format!("failed to make `{}`", built.display()))?;
    let mut cargo = toolchain.cargo();
    cargo.args(["--profile", "guest", "--target-dir"]).arg(target_folder());
    for (_, package) in GUESTS {
        cargo.args(["--package", package]);
    }
    let usually = "about a minute the first time on two cores, seconds when nothing has changed";
    long_step("build the guests", usually, || run(&mut cargo))?;
    GUESTS.iter().try_for_each(|(name, package)| wrap(&built.join(format!("{name}.wasm")), package))
}

fn target_folder() -> PathBuf {
    root().join("target/guests")
}

/// Wraps a core module as a component, if the component is not there already.
fn wrap(component: &Path, package: &str) -> Result<()> {
    let file = format!("{}.wasm", package.replace('-', "_"));
    let module = target_folder().join(WASM).join("guest").join(file);
    let module = fs::read(&module).with_context(|| format!("failed to read `{}`", module.display()))?;
    let bytes = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    if fs::read(component).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(component, &bytes).with_context(|| format!("failed to write `{}`", component.display()))?;
    report(&format!("{}: {:.2} MB", component.display(), bytes.len() as f64 / 1e6));
    Ok(())
}
