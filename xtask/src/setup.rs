//! What a fresh machine lacks: OpenVINO, the tools' Python packages, a compiler for the guests, and
//! the clients of the tests.
//!
//! Everything lands in `.venv`, in `target/frameworks/venv`, in `target/links/venv`, in `node_modules` or in the Rust
//! toolchain. Each step leaves a marker with the requirements that it installed, and is skipped
//! while they are the same.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::native;
use crate::shell::{long_step, output, program, report, root, run, step, watch};

/// Requirements of the native library alone.
const RUNTIME: &str = "tools/requirements-runtime.txt";
/// Requirements of the conversion tools and their tests.
pub(crate) const TOOLS: &str = "tools/requirements.txt";
/// Those of them that making a model of a GGUF or a folder needs.
const ADDING: &str = "tools/requirements-add.txt";
/// Requirements of the tests with other people's clients.
const CLIENTS: &str = "crates/carafe-e2e/requirements-clients.txt";
/// Requirements of those that want other versions of the same packages.
const FRAMEWORKS: &str = "crates/carafe-e2e/requirements-frameworks.txt";
/// Where they are installed.
const FRAMEWORKS_VENV: &str = "target/frameworks/venv";
/// Requirements of the check of links.
const LINKS: &str = "tools/requirements-links.txt";
/// Where it is installed: its program is large, and nothing else needs it.
const LINKS_VENV: &str = "target/links/venv";
/// The environment of everything else in Python.
const VENV: &str = ".venv";
/// Where the requirements of those in JavaScript are.
const NODE_CLIENTS: &str = "crates/carafe-e2e";
/// The guests' target.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// OpenVINO's libraries, from their Python wheel; nothing to do where `CARAFE_OPENVINO` names an
/// installation. And the native layer that is built for them.
pub(crate) fn runtime() -> Result<()> {
    if env::var_os("CARAFE_OPENVINO").is_some_and(|path| !path.is_empty()) {
        report("using the OpenVINO that CARAFE_OPENVINO names");
    } else {
        wheel()?;
    }
    native::build()
}

/// The wheel itself.
pub(crate) fn wheel() -> Result<()> {
    let usually = "a download of about fifty megabytes, half a minute";
    install("install OpenVINO into .venv", usually, RUNTIME, &["--no-deps"])
}

/// Python packages for `carafe models add`; nothing to do where all of the tools' are there.
pub(crate) fn adding() -> Result<()> {
    if is_installed(TOOLS) {
        return Ok(());
    }
    let usually = "a download of about fifty megabytes, half a minute";
    install("install what makes models into .venv", usually, ADDING, &["--no-deps"])?;
    link_tools()
}

/// Python packages for conversion and tests, and the tools themselves.
pub(crate) fn tools() -> Result<()> {
    if is_installed(TOOLS) {
        return Ok(());
    }
    let usually = "a download of some hundred megabytes, one to three minutes";
    install("install the tools' Python packages into .venv", usually, TOOLS, &[])?;
    link_tools()
}

/// Lets `.venv` find the tools as they lie in this tree.
fn link_tools() -> Result<()> {
    let packages = output(program(python()).args(["-c", "import site; print(site.getsitepackages()[0])"]))?;
    let link = Path::new(packages.trim_end()).join("carafe_tools.pth");
    fs::write(&link, format!("{}\n", root().join("tools").display()))
        .with_context(|| format!("failed to write `{}`", link.display()))
}

/// OpenAI's clients, and what else the tests of the server and its page need.
pub(crate) fn clients() -> Result<()> {
    let usually = "a download of some ten megabytes, half a minute";
    install("install the clients' Python packages into .venv", usually, CLIENTS, &[])?;
    let folder = root().join(NODE_CLIENTS);
    let (lock, marker) = (folder.join("package-lock.json"), folder.join("node_modules/.carafe-lock.json"));
    if fs::read(&marker).is_ok_and(|installed| fs::read(&lock).is_ok_and(|wanted| wanted == installed)) {
        return Ok(());
    }
    long_step("install the clients' JavaScript packages", usually, || {
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", NODE_CLIENTS];
        run(program("npm").args(install).stdout(io::stderr()))
            .context("Node.js 20.19 or later with npm is needed (Debian: `apt install nodejs npm`)")
    })?;
    Ok(fs::copy(lock, marker).map(drop)?)
}

/// Programs of others that talk to a server by OpenAI's API: about a gigabyte, without PyTorch.
pub(crate) fn frameworks() -> Result<()> {
    // The lock names every package. Python compiles what is imported, which is a small part.
    let options = ["--no-deps", "--no-compile"];
    install_into(FRAMEWORKS_VENV, "install the frameworks' Python packages", "two minutes", FRAMEWORKS, &options)
}

/// The program that checks links.
pub(crate) fn lychee() -> Result<PathBuf> {
    let usually = "a download of eighty megabytes, half a minute";
    install_into(LINKS_VENV, "install the check of links", usually, LINKS, &["--no-deps"])?;
    Ok(root().join(LINKS_VENV).join("bin/lychee"))
}

/// The Python of `.venv`.
pub(crate) fn python() -> PathBuf {
    python_of(VENV)
}

/// The Python of the frameworks' environment.
pub(crate) fn frameworks_python() -> PathBuf {
    python_of(FRAMEWORKS_VENV)
}

fn python_of(venv: &str) -> PathBuf {
    root().join(venv).join("bin/python")
}

fn install(what: &str, usually: &str, requirements: &str, options: &[&str]) -> Result<()> {
    install_into(VENV, what, usually, requirements, options)
}

fn install_into(venv: &str, what: &str, usually: &str, requirements: &str, options: &[&str]) -> Result<()> {
    if is_installed_in(venv, requirements) {
        return Ok(());
    }
    virtual_environment(venv)?;
    long_step(what, usually, || {
        let arguments = ["-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"];
        watch(program(python_of(venv)).args(arguments).args(options).args(["--requirement", requirements]))
    })?;
    Ok(fs::copy(root().join(requirements), marker(venv, requirements)).map(drop)?)
}

fn virtual_environment(venv: &str) -> Result<()> {
    if python_of(venv).exists() {
        return Ok(());
    }
    step(&format!("make {venv}"), || {
        let made = output(program("python3").args(["-m", "venv", venv]));
        made.map(drop).map_err(|error| {
            error.context("python3 with its `venv` module is needed (Debian: `apt install python3-venv`)")
        })
    })
}

/// Whether these very requirements have been installed into `.venv`.
fn is_installed(requirements: &str) -> bool {
    is_installed_in(VENV, requirements)
}

fn is_installed_in(venv: &str, requirements: &str) -> bool {
    let read = |path: PathBuf| fs::read(path).ok();
    python_of(venv).exists()
        && read(marker(venv, requirements)).is_some_and(|installed| Some(installed) == read(root().join(requirements)))
}

fn marker(venv: &str, requirements: &str) -> PathBuf {
    let name = Path::new(requirements).file_name().unwrap_or_default();
    root().join(venv).join(name)
}

/// What compiles Rust to WebAssembly here.
pub(crate) enum GuestToolchain {
    /// rustup's Rust, with the target's standard library.
    Rustup,
    /// Debian's `rustc-web`, which builds the standard library from source.
    Debian,
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

impl GuestToolchain {
    /// Finds a toolchain, and gets the target for rustup's if it is missing.
    pub(crate) fn get() -> Result<Self> {
        if has_target() {
            return Ok(Self::Rustup);
        }
        let usually = "a download of about twenty megabytes";
        let added = long_step(&format!("rustup target add {WASM}"), usually, || {
            run(program("rustup").args(["target", "add", WASM]).stdout(io::stderr()))
        });
        match added {
            Ok(_) if has_target() => Ok(Self::Rustup),
            _ if is_debian_complete() => Ok(Self::Debian),
            Ok(_) => bail!("rustup added `{WASM}`, but this `rustc` is not rustup's; run cargo through rustup"),
            Err(error) => Err(error.context(format!(
                "no compiler for the guests; run `rustup target add {WASM}`, or on Debian \
                 `apt install rustc-web cargo-web rust-web-src lld`, and try again"
            ))),
        }
    }

    /// A cargo that builds for the guests' target.
    pub(crate) fn cargo(&self) -> Command {
        // Loops over bytes then take 16 at a time, and not as many as fit into a vector once they
        // have been widened.
        let flags = "-C target-feature=+simd128 -C llvm-args=--vectorizer-maximize-bandwidth --cfg getrandom_backend=\"custom\"";
        let mut cargo = match self {
            Self::Rustup => {
                let mut cargo = crate::shell::cargo(&[]);
                cargo.arg("build");
                cargo
            }
            Self::Debian => {
                let mut cargo = program(DEBIAN_CARGO);
                cargo.args(["build", "-Z", "build-std=std,panic_abort"]);
                cargo.envs([("RUSTC_BOOTSTRAP", "1"), ("RUSTC", DEBIAN_RUSTC)]);
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
                cargo.env_remove("RUSTUP_TOOLCHAIN");
                cargo
            }
        };
        cargo.args(["--target", WASM]).env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo
    }
}

fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library = output(program(rustc).args(["--print", "target-libdir", "--target", WASM]));
    library.is_ok_and(|library| Path::new(&library).is_dir())
}

fn is_debian_complete() -> bool {
    let source = output(program(DEBIAN_RUSTC).args(["--print", "sysroot"]))
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock"));
    let linker = output(program("wasm-ld").arg("--version"));
    Path::new(DEBIAN_CARGO).exists() && source.is_ok_and(|source| source.exists()) && linker.is_ok()
}
