//! Which repository a pull is about, and which of its files if that is said.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::contents::Identity;
use super::known::{self, Known};
use super::package::Package;
use crate::arguments::Pull;

/// A model of the hub.
pub(super) struct Wanted {
    /// As `owner/name`.
    pub(super) repository: String,
    /// Branch, tag or commit.
    pub(super) revision: String,
    /// The file that holds the weights, where it is said.
    pub(super) file: Option<String>,
    /// What that file must be.
    pub(super) identity: Option<Identity>,
    /// What the model is called there.
    pub(super) called: String,
    /// SPDX identifier of its licence, where it is known beforehand.
    pub(super) licence: Option<String>,
    /// A Python package that holds that very file.
    pub(super) package: Option<Package>,
}

impl Wanted {
    /// The package that holds the file, and what the file must be.
    pub(super) fn packaged(&self) -> Option<(&Package, &Identity)> {
        self.package.as_ref().zip(self.identity.as_ref())
    }

    /// What the flags ask for.
    pub(super) fn new(options: &Pull) -> Result<Self> {
        ensure!(
            options.revision.split('/').all(is_plain_name),
            "`{}` cannot be a revision; a branch, a tag or a commit was expected",
            options.revision
        );
        if let Some(file) = &options.file {
            ensure!(is_plain_name(file), "`{file}` cannot be a file of the repository; a plain name was expected");
        }
        match Known::find(&options.model)? {
            Some(known) if options.file.is_none() => Ok(Self::known(known, &options.revision)),
            _ => Self::unknown(options),
        }
    }

    fn known(known: Known, revision: &str) -> Self {
        Self {
            repository: known.repository,
            revision: revision.to_owned(),
            file: Some(known.file),
            identity: Some(known.identity),
            called: known.model,
            licence: Some(known.licence),
            package: known.package,
        }
    }

    fn unknown(options: &Pull) -> Result<Self> {
        let repository = options.model.clone();
        let name = check_repository(&repository)?.to_owned();
        let file = options.file.clone();
        let stem = file.as_deref().and_then(|file| Path::new(file).file_stem());
        let called = stem.map_or(name, |stem| stem.to_string_lossy().into_owned());
        let revision = options.revision.clone();
        Ok(Self { repository, revision, file, identity: None, called, licence: None, package: None })
    }
}

/// Whether a name can be a file's in a folder and lead nowhere else.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

/// The name in `owner/name`.
fn check_repository(repository: &str) -> Result<&str> {
    let parts = repository.split_once('/').filter(|(owner, name)| is_plain_name(owner) && is_plain_name(name));
    if let Some((_, name)) = parts {
        return Ok(name);
    }
    let known: Vec<String> = known::names()?.iter().map(|name| format!("`{name}`")).collect();
    bail!("`{repository}` cannot be a repository; {}, or one as `owner/name`, was expected", known.join(", "))
}
