//! What can be wrong with a model folder, one variant for each thing a person can act on.

use std::path::PathBuf;

/// An error of this crate. Its text says what was wrong, where and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read at all.
    #[error("failed to read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `model.toml` is no TOML, lacks a key or has one that the format does not know.
    #[error("`{path}` is not a valid manifest: {reason}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The parser's or the rule's own words.
        reason: String,
    },
    /// The manifest is of a later format than this version of Carafe reads.
    #[error("`{path}` has format version {got}, and this version of Carafe reads format {expected}; update Carafe")]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// The version found.
        got: i64,
        /// The version read here.
        expected: i64,
    },
    /// The manifest is of an earlier format, which this version does not read any more.
    #[error(
        "`{path}` has format version {got}, and this version of Carafe reads format {expected}\nhint: make the model anew, with `carafe models add SOURCE --again` or `carafe models pull OWNER/NAME --again`"
    )]
    OlderFormat {
        /// The manifest.
        path: PathBuf,
        /// The version found.
        got: i64,
        /// The version read here.
        expected: i64,
    },
    /// A file that the manifest names is not there.
    #[error("`{path}` is missing; the manifest of `{model}` names it")]
    MissingFile {
        /// The model's name.
        model: String,
        /// Where the file should be.
        path: PathBuf,
    },
    /// A file's size is not the manifest's.
    #[error("`{path}` has {got} bytes; the manifest says {expected}")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes in the manifest.
        expected: u64,
        /// Bytes on disk.
        got: u64,
    },
    /// A file's content is not the one that the manifest describes.
    #[error("`{path}` has SHA-256 {got}; the manifest says {expected}")]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Digest in the manifest.
        expected: String,
        /// Digest of the file.
        got: String,
    },
    /// The certificate is no JSON of the expected form.
    #[error("`{path}` is not a valid certificate")]
    Certificate {
        /// The certificate.
        path: PathBuf,
        /// The parser's words.
        #[source]
        source: serde_json::Error,
    },
    /// A directory that was named as one of models cannot be used.
    #[error("{named_by} names `{path}`, which {problem}; expected a folder of model folders, or a model folder")]
    Directory {
        /// The flag or variable.
        named_by: &'static str,
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No folder of the search path holds a model of this name.
    #[error("no model `{name}`; known models: {known}; looked in {directories}")]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The models there are, or `none`.
        known: String,
        /// The search path.
        directories: String,
    },
    /// The model is there but does another task.
    #[error("model `{name}` does {got}; this needs {expected}")]
    WrongTask {
        /// The model's name.
        name: String,
        /// The task wanted.
        expected: &'static str,
        /// The model's task.
        got: &'static str,
    },
}
