//! Precompiles the guests for the processor baseline of [`config`], so that a start takes no
//! compile time.
//!
//! `cargo xtask guests` makes the components; this script never runs cargo. The result is loaded at
//! run time by `src/engine.rs`, with the same `engine_config`.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/engine/config.rs"]
mod config;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let engine = wasmtime::Engine::new(&config::engine_config(&env::var("TARGET")?)?)?;
    for guest in ["text", "image"] {
        let component = root.join(format!("guests/built/{guest}.wasm"));
        println!("cargo::rerun-if-changed={}", component.display());
        let bytes = fs::read(&component).map_err(|error| {
            format!("failed to read `{}`: {error}; run `cargo xtask guests` first", component.display())
        })?;
        fs::write(out.join(format!("{guest}.cwasm")), engine.precompile_component(&bytes)?)?;
        fs::write(out.join(format!("{guest}.wasm")), bytes)?;
    }
    println!("cargo::rustc-env=CARAFE_TARGET={}", env::var("TARGET")?);
    println!("cargo::rerun-if-changed=src/engine/config.rs");
    Ok(())
}
