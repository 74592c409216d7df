//! Fetches files of one repository into Hugging Face's cache, resuming what broke off, and checks what came.
//!
//! The hub names a large file by its SHA-256, and the cache keeps the file under that name: what lies there must have it.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use carafe_models::folder::sha256;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};

use super::wanted::{Identity, is_plain_name};
use crate::{environment, output};

/// How often a connection that breaks is made again, going on where it broke.
const RETRIES: usize = 5;

/// One revision of a repository.
pub(super) struct Hub {
    api: Api,
    files: ApiRepo,
    cache: Cache,
    repo: Repo,
}

impl Hub {
    /// A repository of the hub that the environment names.
    pub(super) fn new(repository: &str, revision: &str) -> Result<Self> {
        ensure!(environment::has_hub_cache(), "no place to keep what is fetched: neither HF_HOME nor HOME is set");
        let repo = Repo::with_revision(repository.to_owned(), RepoType::Model, revision.to_owned());
        let mut builder = ApiBuilder::from_env().with_retries(RETRIES).with_progress(io::stderr().is_terminal());
        if let Some(token) = environment::hub_token() {
            builder = builder.with_token(Some(token));
        }
        let api = builder.build().context("failed to prepare for the hub")?;
        Ok(Self { files: api.repo(repo.clone()), api, cache: Cache::from_env(), repo })
    }

    /// The path of a file in the cache, fetched if it is not there.
    pub(super) fn fetch(&self, file: &str) -> Result<PathBuf> {
        self.fetch_if_there(file)?
            .with_context(|| format!("{self} has no file `{file}`, or there is no such repository"))
    }

    /// The same, or nothing where the hub says that there is no such file.
    pub(super) fn fetch_if_there(&self, file: &str) -> Result<Option<PathBuf>> {
        let metadata = match self.api.metadata(&self.files.url(file)) {
            Ok(metadata) => metadata,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return self.kept(file, error).map(Some),
        };
        // The library makes paths of both.
        let safe = is_plain_name(metadata.commit_hash()) && is_plain_name(metadata.etag());
        ensure!(safe, "{self} names `{file}` in a way that no hub does; is HF_ENDPOINT right?");
        let path = self.snapshot(&metadata).join(file);
        if !path.exists() {
            self.download(file, &metadata)?;
        }
        self.check_blob(&path, &metadata)?;
        Ok(Some(path))
    }

    /// Refuses a file that is not the one that is known by this size and hash, whichever revision it is of.
    pub(super) fn check(&self, path: &Path, known: &Identity) -> Result<()> {
        let name = name_of(path);
        let refusal = |found: String, expected: String| {
            format!(
                "`{name}` of {self} {found}; {expected} expected: it is not the file that Carafe knows. \
                 `carafe models pull {} --tflite {name}` takes it all the same",
                self.repo.url()
            )
        };
        let size = fs::metadata(path)?.len();
        ensure!(size == known.size, refusal(format!("is {size} bytes long"), format!("{} were", known.size)));
        let got = hash_of(path)?;
        ensure!(got == known.sha256, refusal(format!("has SHA-256 {got}"), format!("{} was", known.sha256)));
        Ok(())
    }

    fn download(&self, file: &str, metadata: &Metadata) -> Result<()> {
        output::note(&format!("fetching {file}, {}, from {self}", output::mebibytes(metadata.size() as u64)));
        match self.files.download(file) {
            Ok(_) => Ok(()),
            Err(ApiError::InvalidResume) => {
                self.forget_part(metadata);
                bail!("what was kept of `{file}` did not fit and was thrown away; run the same command again")
            }
            Err(error) => Err(self.explain(file, error)),
        }
    }

    /// A file from the cache where the hub cannot be reached.
    fn kept(&self, file: &str, error: ApiError) -> Result<PathBuf> {
        match self.cache.repo(self.repo.clone()).get(file) {
            Some(path) if status(&error).is_none() => {
                output::note(&format!("the hub cannot be reached; using the `{file}` that was fetched before"));
                Ok(path)
            }
            _ => Err(self.explain(file, error)),
        }
    }

    /// Refuses, and throws away, a file that is cut short or has another SHA-256 than its name in the cache.
    fn check_blob(&self, path: &Path, metadata: &Metadata) -> Result<()> {
        let size = fs::metadata(path)?.len();
        if size != metadata.size() as u64 {
            self.forget(path);
            bail!(
                "`{}` of {self} came with {size} bytes; {} were announced. It was thrown away; run the same command again",
                name_of(path),
                metadata.size()
            );
        }
        let is_sha256 = metadata.etag().len() == 64 && metadata.etag().bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_sha256 { self.check_hash(path, metadata.etag()) } else { Ok(()) }
    }

    fn check_hash(&self, path: &Path, expected: &str) -> Result<()> {
        let got = hash_of(path)?;
        if got == expected {
            return Ok(());
        }
        self.forget(path);
        bail!(
            "`{}` of {self} has SHA-256 {got}; {expected} was expected. It was thrown away; run the same command again",
            name_of(path)
        )
    }

    /// Removes a file and the link to it from the cache; if that fails, it is found wrong again next time.
    fn forget(&self, path: &Path) {
        if let Ok(blob) = path.canonicalize() {
            let _ = fs::remove_file(blob);
        }
        let _ = fs::remove_file(path);
    }

    fn forget_part(&self, metadata: &Metadata) {
        let _ = fs::remove_file(self.cache.repo(self.repo.clone()).blob_path(metadata.etag()).with_extension("part"));
    }

    fn snapshot(&self, metadata: &Metadata) -> PathBuf {
        self.cache.repo(self.repo.clone()).pointer_path(metadata.commit_hash())
    }

    fn explain(&self, file: &str, error: ApiError) -> anyhow::Error {
        match status(&error) {
            Some(401 | 403) => anyhow!(
                "{self} may not be read: it is not public, or does not exist. Set HF_TOKEN to a token that may, if there is one"
            ),
            Some(404) => anyhow!("{self} has no file `{file}`, or there is no such repository"),
            Some(429) => anyhow!("the hub asks to wait before fetching more of {self}; try again later"),
            Some(status) => anyhow!("the hub answered {status} when asked for `{file}` of {self}; try again later"),
            None => anyhow::Error::new(error).context(format!(
                "failed to fetch `{file}` of {self}; what came is kept, the same command goes on from there"
            )),
        }
    }
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (revision `{}`)", self.repo.url(), self.repo.revision())
    }
}

fn hash_of(path: &Path) -> Result<String> {
    sha256(path).with_context(|| format!("failed to read `{}`", path.display()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The status that the hub answered with, where it answered.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}
