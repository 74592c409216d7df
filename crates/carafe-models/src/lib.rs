//! What a model is on disk: a folder with `model.toml`, a graph in OpenVINO's format and the files
//! that belong to it.
//!
//! - [`manifest`]: the types of `model.toml` and the rules that they obey
//! - [`folder`]: one model folder; its files, their sizes and checksums
//! - [`certificate`]: the parts of `certificate.json` that Carafe reads
//! - [`catalogue`]: finding models by name along a search path
//!
//! This crate knows neither OpenVINO nor WebAssembly: it reads, checks and describes, and runs
//! nothing.

pub mod catalogue;
pub mod certificate;
mod error;
pub mod folder;
pub mod manifest;

pub use catalogue::{Catalogue, ModelDirectory};
pub use certificate::Certificate;
pub use error::Error;
pub use folder::ModelFolder;
pub use manifest::{Manifest, Task};
