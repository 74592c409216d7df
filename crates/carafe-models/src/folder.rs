//! One model folder: its manifest, and the files that the manifest describes.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::{File, ParseError};
use crate::{Certificate, Error, Manifest, Task, manifest};

/// Name of the manifest in a model folder.
pub const MANIFEST: &str = "model.toml";

/// A folder with a checked manifest. Its files are looked at only by [`ModelFolder::check_sizes`]
/// and [`ModelFolder::verify`].
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    manifest: Manifest,
}

/// A file whose size and content are the manifest's.
#[derive(Clone, Debug)]
pub struct VerifiedFile {
    /// Its name inside the folder.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

impl ModelFolder {
    /// Reads and checks the manifest of a folder.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Manifest`], [`Error::NewerFormat`], [`Error::OlderFormat`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = path.join(MANIFEST);
        let text = fs::read_to_string(&file).map_err(|source| Error::Read { path: file.clone(), source })?;
        let manifest = Manifest::parse(&text).map_err(|error| match error {
            ParseError::NewerFormat(got) => Error::NewerFormat { path: file.clone(), got, expected: manifest::FORMAT },
            ParseError::OlderFormat(got) => Error::OlderFormat { path: file.clone(), got, expected: manifest::FORMAT },
            ParseError::Invalid(reason) => Error::Manifest { path: file.clone(), reason },
        })?;
        if path.file_name().is_none_or(|name| name != manifest.name.as_str()) {
            let reason =
                format!("`name` is `{}`, and the folder is `{}`; they must be equal", manifest.name, path.display());
            return Err(Error::Manifest { path: file, reason });
        }
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the folder's manifest says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where a file of the manifest is.
    #[must_use]
    pub fn file(&self, file: &File) -> PathBuf {
        self.path.join(&file.path)
    }

    /// The content of a file of the manifest, its size and checksum checked. For small files:
    /// tokenizers, labels, certificates.
    ///
    /// # Errors
    /// [`Error::MissingFile`], [`Error::Size`], [`Error::Checksum`], [`Error::Read`].
    pub fn read(&self, file: &File) -> Result<Vec<u8>, Error> {
        self.check_size(file)?;
        let path = self.file(file);
        let bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        check_digest(path, file, &hexadecimal(&Sha256::digest(&bytes)))?;
        Ok(bytes)
    }

    /// As [`ModelFolder::read`], of a file of text.
    ///
    /// # Errors
    /// As [`ModelFolder::read`], and [`Error::Read`] where it is no UTF-8.
    pub fn read_text(&self, file: &File) -> Result<String, Error> {
        let no_text =
            |error| Error::Read { path: self.file(file), source: io::Error::new(ErrorKind::InvalidData, error) };
        String::from_utf8(self.read(file)?).map_err(no_text)
    }

    /// The certificate.
    ///
    /// # Errors
    /// As [`ModelFolder::read`], and [`Error::Certificate`].
    pub fn certificate(&self) -> Result<Certificate, Error> {
        let file = &self.manifest.files.certificate;
        let bytes = self.read(file)?;
        Certificate::parse(&bytes).map_err(|source| Error::Certificate { path: self.file(file), source })
    }

    /// Checks that every file is there and as long as the manifest says: what is cheap enough for
    /// every start.
    ///
    /// # Errors
    /// [`Error::MissingFile`], [`Error::Size`], [`Error::Read`].
    pub fn check_sizes(&self) -> Result<(), Error> {
        self.manifest.files.all().try_for_each(|file| self.check_size(file))
    }

    /// Checks size and content of every file.
    ///
    /// # Errors
    /// [`Error::MissingFile`], [`Error::Size`], [`Error::Checksum`], [`Error::Read`].
    pub fn verify(&self) -> Result<Vec<VerifiedFile>, Error> {
        self.manifest.files.all().map(|file| self.verify_file(file)).collect()
    }

    /// Refuses a model of another task.
    ///
    /// # Errors
    /// [`Error::WrongTask`].
    pub fn expect_task(&self, task: Task) -> Result<(), Error> {
        let got = self.manifest.task;
        if got == task {
            return Ok(());
        }
        Err(Error::WrongTask { name: self.manifest.name.clone(), expected: task.name(), got: got.name() })
    }

    fn check_size(&self, file: &File) -> Result<(), Error> {
        let path = self.file(file);
        let got = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(source) if source.kind() == ErrorKind::NotFound => {
                return Err(Error::MissingFile { model: self.manifest.name.clone(), path });
            }
            Err(source) => return Err(Error::Read { path, source }),
        };
        if got == file.size { Ok(()) } else { Err(Error::Size { path, expected: file.size, got }) }
    }

    fn verify_file(&self, file: &File) -> Result<VerifiedFile, Error> {
        self.check_size(file)?;
        let path = self.file(file);
        let digest = sha256(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        check_digest(path, file, &digest)?;
        Ok(VerifiedFile { name: file.path.clone(), size: file.size, sha256: file.sha256.clone() })
    }
}

/// SHA-256 of a file in lower-case hexadecimal, read in pieces: weights may be larger than memory
/// should be.
///
/// # Errors
///
/// What reading the file ends in.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_digest(path: PathBuf, file: &File, got: &str) -> Result<(), Error> {
    if got == file.sha256 {
        Ok(())
    } else {
        Err(Error::Checksum { path, expected: file.sha256.clone(), got: got.to_owned() })
    }
}
