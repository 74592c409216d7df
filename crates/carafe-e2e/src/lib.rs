//! What the end-to-end tests share: the real binary, the real OpenVINO, the models of the tree.
//!
//! A machine without OpenVINO fails these tests with the words of `carafe-openvino`; `cargo xtask
//! test` sets it up first.

pub mod chat;
pub mod documents;
pub mod server;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use carafe_host::text::{EventKind, Generation, Prompt, Request, TextModel, TextOptions};
use carafe_host::{DecoderLimits, Limits, LoadedGraph, Sandbox};
use carafe_models::ModelFolder;
use carafe_openvino::{Options, Profile, Runtime, Search};
use serde_json::Value;
use tempfile::TempDir;

/// The project's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The `carafe` binary.
///
/// # Errors
/// If it has not been built.
pub fn binary() -> Result<PathBuf> {
    let test = env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a test binary lies in target/PROFILE/deps")?;
    let binary = folder.join("carafe");
    ensure!(binary.exists(), "`{}` is missing; run `cargo build --release --package carafe-cli`", binary.display());
    Ok(binary)
}

/// The `carafe` binary, with the test models in its search path and nothing of the user's.
///
/// # Errors
/// If it has not been built.
pub fn carafe(arguments: &[impl AsRef<OsStr>]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command.env("CARAFE_MODELS", root().join("fixtures/models")).env("XDG_DATA_HOME", "/nonexistent");
    command.env("XDG_CACHE_HOME", "/nonexistent");
    Ok(command)
}

/// Runs `carafe` to its end.
///
/// # Errors
/// If it cannot be started.
pub fn run(arguments: &[impl AsRef<OsStr>]) -> Result<Ran> {
    Ok(Ran::new(&carafe(arguments)?.output()?))
}

/// What a run of `carafe` left.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Reads a finished process.
    #[must_use]
    pub fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Standard output as JSON, of a run that went well.
    ///
    /// # Errors
    /// If the run failed or printed no JSON.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.code == Some(0), "carafe failed: {}", self.err);
        Ok(serde_json::from_str(&self.out)?)
    }
}

/// OpenVINO, from the project's `.venv` or where `CARAFE_OPENVINO` says.
///
/// # Errors
/// If it is not there.
pub fn runtime() -> Result<Runtime> {
    let explicit = env::var_os("CARAFE_OPENVINO").filter(|value| !value.is_empty()).map(PathBuf::from);
    let layers = vec![root().join("crates/carafe-openvino/native/built")];
    Ok(Runtime::load(&Search { explicit, folders: vec![root().join(".venv")], layers })?)
}

/// A model of the tree (`models/tales`, `fixtures/models/tiny`), loaded.
///
/// # Errors
/// If it cannot be.
pub fn load(folder: &str, profile: Profile) -> Result<LoadedGraph> {
    load_with(folder, profile, &DecoderLimits::default())
}

/// As [`load`], within these limits.
///
/// # Errors
/// As of [`load`].
pub fn load_with(folder: &str, profile: Profile, limits: &DecoderLimits) -> Result<LoadedGraph> {
    load_from(&root().join(folder), profile, limits)
}

/// A model of the tree that runs in a sandbox of its own, with the usual options and limits.
///
/// # Errors
/// As of [`load`], and if the guest refuses it.
pub fn start(folder: &str, profile: Profile) -> Result<TextModel> {
    Ok(TextModel::start(&Sandbox::new()?, &load(folder, profile)?, TextOptions::default(), Limits::default())?)
}

fn load_from(folder: &Path, profile: Profile, limits: &DecoderLimits) -> Result<LoadedGraph> {
    let options = Options { profile, ..Options::default() };
    Ok(LoadedGraph::load(&runtime()?, ModelFolder::open(folder)?, &options, limits)?)
}

/// A text model whose graph fails inside OpenVINO unless a step has a multiple of 8 positions, and
/// the folder that it is made in: the tiny model's files around the graph `fragile` of
/// `carafe-openvino`'s tests.
///
/// # Errors
/// If it cannot be made or loaded.
pub fn fragile() -> Result<(TempDir, LoadedGraph)> {
    let (tiny, graphs) = (root().join("fixtures/models/tiny"), root().join("crates/carafe-openvino/tests/fixtures"));
    let place = TempDir::new()?;
    let folder = place.path().join("fragile");
    fs::create_dir(&folder)?;
    for name in ["tokenizer.json", "certificate.json"] {
        fs::copy(tiny.join(name), folder.join(name))?;
    }
    let mut manifest = fs::read_to_string(tiny.join("model.toml"))?.replace("name = \"tiny\"", "name = \"fragile\"");
    for (key, suffix) in [("graph", "xml"), ("weights", "bin")] {
        let name = format!("fragile.{suffix}");
        let size = fs::copy(graphs.join(&name), folder.join(&name))?;
        let entry = format!("{key} = {{ path = \"{name}\", size = {size}, sha256 = \"{}\" }}", "0".repeat(64));
        manifest = replace_line(&manifest, &format!("{key} = "), &entry);
    }
    fs::write(folder.join("model.toml"), manifest)?;
    let model = load_from(&folder, Profile::Exact, &DecoderLimits::default())?;
    Ok((place, model))
}

fn replace_line(text: &str, start: &str, line: &str) -> String {
    let lines = text.lines().map(|old| if old.starts_with(start) { line } else { old });
    lines.collect::<Vec<_>>().join("\n")
}

/// The hostile guest, compiled.
///
/// # Errors
/// If `cargo xtask guests` has not made it.
pub fn hostile(sandbox: &Sandbox) -> Result<carafe_host::Component> {
    let path = root().join("guests/built/hostile.wasm");
    let bytes = fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    Ok(sandbox.compile(&bytes)?)
}

/// A greedy request for so many tokens.
#[must_use]
pub fn greedy(prompt: &str, max_tokens: u32) -> Request {
    Request::greedy(Prompt::text(prompt), max_tokens)
}

/// All token texts of a generation, and the message if it failed.
pub fn collect(mut generation: Generation) -> (Vec<String>, Option<String>) {
    let mut texts = Vec::new();
    while let Some(event) = generation.next_blocking() {
        match event {
            EventKind::Token(token) => texts.push(token.text),
            EventKind::Failed(failure) => return (texts, Some(failure.message)),
            EventKind::Started(_) | EventKind::Prompt(_) | EventKind::Finished(_) => {}
        }
    }
    (texts, None)
}
