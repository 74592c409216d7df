//! Fetches files of one repository into Hugging Face's cache, and checks what came.
//!
//! First the hub is asked which commit the revision is and which files that has; all files are then
//! of this commit. The hub names a file by a hash of its contents, and the cache keeps the file
//! under that name: what lies there must have it, whether it came now or long ago. `client` asks,
//! `listing` reads the list, `download` brings the contents, `contents` holds them against their
//! name, `cache` knows where things lie; here is what a person reads if a file is not what it must
//! be.
//!
//! A hub that is not to be asked, or cannot be reached, is stood in for by the cache.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use carafe_models::folder::sha256;
use ureq::http::StatusCode;

use super::cache::Cache;
use super::client::Client;
use super::contents::{self, Identity};
use super::download::{self, Download};
use super::failure::{Attempts, Failure};
use super::listing::{self, Listing};
use super::progress::Progress;
use super::wanted::is_plain_name;
use crate::{environment, output};

/// Asks how long a file is and how it is named, with as little of its contents as can be.
const FIRST_BYTE: &str = "bytes=0-0";

/// The longest file of text that is fetched: a vocabulary of a million tokens is shorter.
const LONGEST_TEXT: u64 = 64 << 20;

/// One revision of a repository.
pub(super) struct Hub {
    client: Client,
    endpoint: String,
    repository: String,
    revision: String,
    /// The commit that the revision is, once the hub has said it.
    commit: Option<String>,
    /// Why only the cache is used, where that is so.
    offline: Option<&'static str>,
    cache: Cache,
    patience: Duration,
}

/// The list of files, as `explain` names it.
const LIST: &str = "the list of files";
/// Why the network is not asked.
pub(super) const FORBIDDEN: &str = "`--offline` or HF_HUB_OFFLINE forbids to ask the hub";
const UNREACHABLE: &str = "the hub cannot be reached";

/// How the hub names one file.
struct Metadata {
    commit: String,
    etag: String,
    size: Option<u64>,
}

impl Hub {
    /// A repository of the hub that the environment names; if `is_offline`, of the cache alone.
    pub(super) fn new(repository: &str, revision: &str, is_offline: bool) -> Result<Self> {
        let home = environment::hub_home();
        let home = home.context("no folder for what is fetched: neither HF_HOME nor HOME is set")?;
        let endpoint = environment::hub_endpoint();
        let address = endpoint.parse().ok().filter(is_web_address);
        let address = address.with_context(|| {
            format!("HF_ENDPOINT is `{endpoint}`; an address that begins with `https://` or `http://` was expected")
        })?;
        let patience = environment::hub_patience()?;
        Ok(Self {
            client: Client::new(address, environment::hub_token(&home), patience),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            commit: None,
            offline: is_offline.then_some(FORBIDDEN),
            cache: Cache::new(&home, repository, revision),
            patience,
        })
    }

    /// The files of the revision. What is fetched afterwards is of the commit that it was now. A hub
    /// that cannot be reached is asked once if what is wanted can be had elsewhere.
    pub(super) fn list(&mut self, is_elsewhere: bool) -> Result<Vec<String>> {
        let kept = self.cache.kept_files();
        if self.offline.is_none() {
            match self.ask_for_list(is_elsewhere || !kept.is_empty()) {
                Ok(listing) => {
                    self.commit = Some(listing.commit);
                    return Ok(listing.files);
                }
                Err(failure) if failure.is_unreachable() && !kept.is_empty() => {
                    output::note(&format!("{UNREACHABLE}; using what was fetched before"));
                    self.offline = Some(UNREACHABLE);
                }
                Err(failure) => return Err(self.explain(LIST, failure, false)),
            }
        }
        ensure!(!kept.is_empty(), "nothing of {self} was fetched before, and {}", self.offline.unwrap_or_default());
        Ok(kept)
    }

    fn ask_for_list(&self, is_had: bool) -> Result<Listing, Failure> {
        let revision = self.revision.replace('/', "%2F");
        let url = format!("{}/api/models/{}/revision/{revision}", self.endpoint, self.repository);
        self.patiently(is_had, || {
            let answer = self.client.get(&url, None)?;
            Listing::parse(&download::read(answer, listing::LONGEST, self.patience)?)
        })
    }

    /// The path of a file in the cache, fetched if it is not there.
    pub(super) fn fetch(&self, file: &str) -> Result<PathBuf> {
        if let Some(why) = self.offline {
            let kept = self.kept(file)?;
            return kept.with_context(|| format!("the `{file}` of {self} was not fetched before, and {why}"));
        }
        let metadata = match self.patiently(false, || self.ask(file)) {
            Ok(metadata) => metadata,
            Err(failure) => return Err(self.explain(&format!("`{file}`"), failure, false)),
        };
        let Metadata { commit, etag, size } = &metadata;
        let blob = self.cache.blob(etag);
        if !self.is_sound(file, &blob, etag, *size)? {
            self.download(file, &metadata)?;
            if let Some(fault) = fault_of(&blob, etag, *size)? {
                forget(&blob);
                bail!("`{file}` of {self} {fault}. It was thrown away; run the same command again");
            }
        }
        let path = self.cache.snapshot(commit, file);
        let linked = self.cache.link(etag, commit, file);
        linked.with_context(|| format!("failed to write `{}`", path.display()))?;
        Ok(path)
    }

    /// The file as it was fetched before, for a hub that cannot be reached.
    fn kept(&self, file: &str) -> Result<Option<PathBuf>> {
        let Some(path) = self.cache.kept(file) else { return Ok(None) };
        let blob = path.canonicalize().with_context(|| format!("failed to read `{}`", path.display()))?;
        Ok(self.is_sound(file, &blob, &name_of(&blob), None)?.then_some(path))
    }

    /// Whether contents are in the cache and are what their name says; what is not is thrown away.
    fn is_sound(&self, file: &str, blob: &Path, etag: &str, size: Option<u64>) -> Result<bool> {
        if !blob.exists() {
            return Ok(false);
        }
        let Some(fault) = fault_of(blob, etag, size)? else { return Ok(true) };
        output::note(&format!("the `{file}` of {self} that was fetched before {fault}; it was thrown away"));
        forget(blob);
        Ok(false)
    }

    /// Refuses a file that is not the one that is known by this size and hash, whichever revision
    /// it is of.
    pub(super) fn check(&self, path: &Path, known: &Identity) -> Result<()> {
        let name = name_of(path);
        let refusal = |found: String, expected: String| {
            format!(
                "`{name}` of {self} {found}; {expected} expected: it is not the file that Carafe knows. \
                 `carafe models pull {} --file {name}` takes it all the same",
                self.repository
            )
        };
        let size = fs::metadata(path)?.len();
        ensure!(size == known.size, refusal(format!("is {size} bytes long"), format!("{} were", known.size)));
        let got = hash_of(path)?;
        ensure!(got == known.sha256, refusal(format!("has SHA-256 {got}"), format!("{} was", known.sha256)));
        Ok(())
    }

    /// Asks again where that may help; where what is asked for was fetched before or can be had
    /// elsewhere, a hub that cannot be reached is not asked twice.
    fn patiently<T>(&self, is_had: bool, ask: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut attempts = Attempts::new(self.patience);
        loop {
            match ask() {
                Err(failure) if is_had && failure.is_unreachable() => return Err(failure),
                Err(failure) => attempts.wait_after(failure)?,
                found => return found,
            }
        }
    }

    fn ask(&self, file: &str) -> Result<Metadata, Failure> {
        let answer = self.client.get(&self.url(file), Some(FIRST_BYTE))?;
        if let Some(size) = answer.total().filter(|size| is_text(file) && *size > LONGEST_TEXT) {
            return Err(Failure::Unusable(format!(
                "is {size} bytes long; of a text file, at most {LONGEST_TEXT} are fetched"
            )));
        }
        if answer.status() == StatusCode::PARTIAL_CONTENT && answer.start() != Some(0) {
            return Err(Failure::Unusable(
                "was answered with another range than the first byte, or with one that cannot be".to_owned(),
            ));
        }
        // Both become parts of paths.
        let plain = |name: &Option<String>| name.clone().filter(|name| is_plain_name(name));
        match (plain(&answer.named.commit), plain(&answer.named.etag)) {
            (Some(commit), Some(etag)) if self.commit.as_ref().is_none_or(|asked| *asked == commit) => {
                Ok(Metadata { commit, etag, size: answer.total() })
            }
            (Some(commit), Some(_)) => Err(Failure::Unusable(format!(
                "is answered of the commit {commit}; {} was asked for",
                self.commit.as_deref().unwrap_or_default()
            ))),
            _ => Err(Failure::Unusable(
                "is named in a way that no hub does: `X-Repo-Commit` and `ETag` must be plain names; is HF_ENDPOINT right?"
                    .to_owned(),
            )),
        }
    }

    fn download(&self, file: &str, metadata: &Metadata) -> Result<()> {
        let size = metadata.size.map(|size| format!(", {}", output::mebibytes(size))).unwrap_or_default();
        output::note(&format!("fetching {file}{size}, from {self}"));
        let blob = self.cache.blob(&metadata.etag);
        let url = self.url(file);
        let download = Download { client: &self.client, url: &url, size: metadata.size, patience: self.patience };
        let part = self.cache.part(&metadata.etag);
        let done = self.cache.prepare().map_err(Failure::Disk);
        done.and_then(|()| download.run(&part, &blob, &mut Progress::new(file))).map_err(|failure| {
            let is_begun = part.metadata().is_ok_and(|part| part.len() > 0);
            self.explain(&format!("`{file}`"), failure, is_begun)
        })
    }

    fn url(&self, file: &str) -> String {
        let revision = self.commit.as_ref().unwrap_or(&self.revision).replace('/', "%2F");
        format!("{}/{}/resolve/{revision}/{file}", self.endpoint, self.repository)
    }

    /// Says why a file, or the list of them, was not fetched, and whether the next attempt goes on
    /// from a part of it.
    fn explain(&self, what: &str, failure: Failure, is_begun: bool) -> anyhow::Error {
        let kept = if is_begun { KEPT } else { "" };
        match failure {
            Failure::Status { status, retry_after } => self.explain_status(what, status.as_u16(), retry_after),
            Failure::Unusable(why) => anyhow!("{what} of {self} cannot be fetched: it {why}"),
            Failure::Interrupted(why) => anyhow!("failed to fetch {what} of {self}: it {why}{kept}"),
            Failure::Connection(error) => {
                anyhow::Error::new(error).context(format!("failed to fetch {what} of {self}{kept}"))
            }
            Failure::Disk(error) => anyhow::Error::new(error).context(format!("failed to write {what} of {self}")),
        }
    }

    fn explain_status(&self, what: &str, status: u16, retry_after: Option<Duration>) -> anyhow::Error {
        match status {
            401 | 403 => anyhow!(
                "{self} may not be read: it is not public, or does not exist. Set HF_TOKEN to a token that may, if there is one"
            ),
            404 if what == LIST => anyhow!("the hub has no repository {self}, or no such revision of it"),
            404 => anyhow!("{self} has no file {what}"),
            429 => {
                let wait = retry_after.map(|wait| format!(" for {} s", wait.as_secs())).unwrap_or_default();
                anyhow!("the hub asks to wait{wait} before fetching more of {self}; try again later")
            }
            100..=399 => anyhow!("the hub answered {status} when asked for {what} of {self}, which brings no file"),
            status => anyhow!("the hub answered {status} when asked for {what} of {self}; try again later"),
        }
    }
}

const KEPT: &str = "; what came is kept, the same command goes on from there";

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (revision `{}`)", self.repository, self.revision)
    }
}

fn is_text(file: &str) -> bool {
    file.ends_with(".json") || file.ends_with(".txt")
}

fn is_web_address(address: &ureq::http::Uri) -> bool {
    matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some_and(|host| !host.is_empty())
}

fn fault_of(path: &Path, etag: &str, size: Option<u64>) -> Result<Option<String>> {
    contents::fault(path, etag, size).with_context(|| format!("failed to read `{}`", path.display()))
}

/// Removes contents from the cache; if that fails, they are found wrong again next time.
fn forget(blob: &Path) {
    let _ = fs::remove_file(blob);
}

fn hash_of(path: &Path) -> Result<String> {
    sha256(path).with_context(|| format!("failed to read `{}`", path.display()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
