//! From a model's files to a compiled model, and the properties that it was compiled with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::native::{Graph, Model};
use crate::profile::{KEPT_KERNELS, NUM_THREADS, Options, REPORTED};
use crate::runtime::Runtime;

/// The two files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphFiles {
    /// The graph, `model.xml`.
    pub xml: PathBuf,
    /// Its weights, `model.bin`.
    pub bin: PathBuf,
}

/// Reads a model; its weights are mapped from their file, not copied.
pub(crate) fn read(runtime: &Runtime, files: &GraphFiles) -> Result<Model, Error> {
    let (xml, bin) = (readable(&files.xml)?, readable(&files.bin)?);
    Model::read(runtime.native, xml, bin).map_err(Error::native(format!("read `{xml}`")))
}

/// Compiles a model, and says what its properties came to.
pub(crate) fn compile(
    model: Model,
    files: &GraphFiles,
    options: &Options,
) -> Result<(Graph, BTreeMap<String, String>), Error> {
    let kernels = (KEPT_KERNELS.0, KEPT_KERNELS.1.to_owned());
    let properties: Vec<_> = [kernels].into_iter().chain(options.properties()).collect();
    let xml = files.xml.display();
    let compiled = model.compile(&properties).map_err(Error::native(format!("compile `{xml}`")))?;
    let properties = resolved(&compiled, options)?;
    tracing::info!(model = %xml, profile = %options.profile, ?properties, "graph compiled");
    Ok((compiled, properties))
}

fn readable(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|_| path.is_file());
    text.ok_or_else(|| Error::FileNotFound { path: path.to_owned() })
}

/// Reads the reported properties back, and makes sure that every one that was set holds.
fn resolved(compiled: &Graph, options: &Options) -> Result<BTreeMap<String, String>, Error> {
    let read = |key: &'static str| {
        let value = compiled.property(key).map_err(Error::native(format!("read `{key}` back")))?;
        Ok((key.to_owned(), value))
    };
    let properties = REPORTED.iter().map(|key| read(key)).collect::<Result<BTreeMap<_, _>, Error>>()?;
    for (key, expected) in options.properties() {
        let got = properties.get(key).cloned().unwrap_or_default();
        if got != expected {
            return Err(changed(key, expected, got, options));
        }
    }
    Ok(properties)
}

/// The plugin has no more threads than processors; a person gave the number, not the property.
fn changed(property: &str, expected: String, got: String, options: &Options) -> Error {
    match options.threads {
        Some(asked) if property == NUM_THREADS && options.side_by_side.is_none() => {
            Error::TooManyThreads { asked: asked.get(), most: got }
        }
        _ => Error::PropertyChanged { property: property.to_owned(), expected, got },
    }
}
