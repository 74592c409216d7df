//! The benchmark: its own Python environment with the peers, the binaries that are measured, and
//! `carafe_bench`.
//!
//! The environment is `target/bench/venv`. Each peer has a lock of its own, so that one that cannot
//! be installed here is reported, with the reason in `target/bench/failed`, and the others are
//! measured.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell::{cargo, long_step, output, program, report, root, run, step, watch};
use crate::show::BUILD_TIME;
use crate::{guests, setup};

/// What `carafe_bench` needs itself, the native library included.
const OWN: &str = "bench/requirements.txt";
/// The peers that come from PyPI; llama.cpp is compiled, which takes minutes.
const PEERS: [&str; 3] = ["opencv", "openvino-genai", "llama-cpp"];
/// llama.cpp without its programs for images; it is compiled for this processor, which is its
/// default, but for AMX: this release asks the kernel for the tiles in its main thread only, and
/// its other threads crash (llama.cpp's pull request 26954).
const LLAMA_FLAGS: &str = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
     -DCMAKE_C_FLAGS=-U__AMX_INT8__ -DCMAKE_CXX_FLAGS=-U__AMX_INT8__";

/// Installs what is missing, builds, and measures.
pub(crate) fn bench(flags: &[OsString]) -> Result<()> {
    setup::runtime()?;
    guests::build()?;
    long_step("build carafe and the load generator", BUILD_TIME, || {
        run(&mut cargo(&["build", "--release", "--package", "carafe-cli", "--package", "carafe-load"]))
    })?;
    environment()?;
    let paths = env::join_paths([root().join("bench"), root().join("tools")])?;
    run(program(python()).args(["-m", "carafe_bench"]).args(flags).env("PYTHONPATH", paths))
}

fn environment() -> Result<()> {
    if !python().exists() {
        let folder = folder().join("venv");
        step("make target/bench/venv", || output(program("python3").args(["-m", "venv"]).arg(folder)))?;
    }
    install(OWN)?;
    for peer in PEERS {
        let failure = folder().join("failed").join(peer).with_extension("txt");
        match install(&format!("bench/peers/{peer}.txt")) {
            // What was not there is no failure to forget.
            Ok(()) => drop(fs::remove_file(&failure)),
            Err(error) => note_failure(&failure, &format!("{error:#}"))?,
        }
    }
    Ok(())
}

/// Installs a lock, unless this very one has been.
fn install(lock: &str) -> Result<()> {
    let (wanted, marker) = (root().join(lock), marker(lock));
    let text = fs::read(&wanted).with_context(|| format!("failed to read `{lock}`"))?;
    if fs::read(&marker).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    let usually = "downloads of up to some hundred megabytes; llama.cpp is compiled, about ten minutes on two cores";
    long_step(&format!("install {lock} into target/bench/venv"), usually, || {
        let arguments = ["-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "-r", lock];
        watch(program(python()).args(arguments).env("CMAKE_ARGS", LLAMA_FLAGS))
    })?;
    Ok(fs::write(marker, text)?)
}

fn note_failure(file: &Path, reason: &str) -> Result<()> {
    report(&format!("going on without a peer: {reason}"));
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    Ok(fs::write(file, reason)?)
}

fn folder() -> PathBuf {
    root().join("target/bench")
}

fn python() -> PathBuf {
    folder().join("venv/bin/python")
}

fn marker(lock: &str) -> PathBuf {
    let name = Path::new(lock).file_name().unwrap_or_default();
    folder().join("venv").join(name)
}
