//! A model compiled under one configuration, from which contexts are made.
//!
//! Properties can be set on a `Core` only, not on one compile, so each graph owns a `Core` of its own. The weights are
//! mapped from their file, not copied. The handles of a compiled model are not to be used by two threads at once, so
//! they sit behind a lock; contexts work without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use openvino::{CompiledModel, Core, DeviceType, PropertyKey, RwPropertyKey};

use crate::check::Sizes;
use crate::context::Context;
use crate::error::Error;
use crate::ports;
use crate::profile::{KEPT_KERNELS, NUM_THREADS, Options, REPORTED};
use crate::runtime::Runtime;
use crate::spec::{GraphSpec, TensorSpec};
use crate::tensor::{Tensor, TensorView};

/// The two files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphFiles {
    /// The graph, `model.xml`.
    pub xml: PathBuf,
    /// Its weights, `model.bin`.
    pub bin: PathBuf,
}

/// A compiled model; clones share it.
#[derive(Clone)]
pub struct Graph {
    shared: Arc<Shared>,
}

/// What a graph and its contexts share.
pub(crate) struct Shared {
    pub(crate) spec: GraphSpec,
    options: Options,
    properties: BTreeMap<String, String>,
    native: Mutex<Native>,
}

/// The native handles; the compiled model goes before the core that made it.
struct Native {
    compiled: CompiledModel,
    _core: Core,
}

impl Graph {
    /// Reads a model, holds it against its description, and compiles it.
    ///
    /// # Errors
    ///
    /// When a file is missing, when the model differs from its description or is wider than 32 bits, when a property
    /// does not hold, or when OpenVINO fails.
    pub fn load(_runtime: &Runtime, files: &GraphFiles, spec: GraphSpec, options: &Options) -> Result<Self, Error> {
        let (xml, bin) = (readable(&files.xml)?, readable(&files.bin)?);
        let mut core = Core::new().map_err(Error::native("start"))?;
        set(&mut core, KEPT_KERNELS.0, KEPT_KERNELS.1)?;
        options.properties().iter().try_for_each(|(key, value)| set(&mut core, key, value))?;
        let model = core.read_model_from_file(xml, bin).map_err(Error::native(format!("read `{xml}`")))?;
        ports::compare(&model, &spec)?;
        let compiled =
            core.compile_model(&model, DeviceType::CPU).map_err(Error::native(format!("compile `{xml}`")))?;
        let properties = resolved(&compiled, options)?;
        tracing::info!(model = xml, profile = %options.profile, ?properties, "graph compiled");
        let native = Mutex::new(Native { compiled, _core: core });
        Ok(Self { shared: Arc::new(Shared { spec, options: *options, properties, native }) })
    }

    /// What the graph expects and gives.
    #[must_use]
    pub fn spec(&self) -> &GraphSpec {
        &self.shared.spec
    }

    /// How it was compiled.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What the plugin resolved its properties to.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.shared.properties
    }

    /// A context with fresh state.
    ///
    /// # Errors
    ///
    /// When OpenVINO fails.
    pub fn context(&self) -> Result<Context, Error> {
        let mut native = self.shared.native.lock().unwrap_or_else(PoisonError::into_inner);
        let request = native.compiled.create_infer_request().map_err(Error::native("make a context"))?;
        drop(native);
        Ok(Context::new(Arc::clone(&self.shared), request))
    }

    /// Computes once, as little as can be, in a context of its own: OpenVINO repacks weights at the first inference.
    ///
    /// # Errors
    ///
    /// When OpenVINO fails.
    pub fn warm_up(&self) -> Result<(), Error> {
        let sizes = Sizes { batch: 1, step: 1, total: 1, logits: 1 };
        let inputs: Vec<(&str, Tensor)> =
            self.spec().inputs().iter().map(|input| (&*input.name, zeros(input, &sizes))).collect();
        let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
        self.context()?.compute_with(&views, |_, _| ())
    }
}

fn zeros(input: &TensorSpec, sizes: &Sizes) -> Tensor {
    let dims: Vec<u32> = input.shape.iter().map(|dim| sizes.of(*dim)).collect();
    let bytes = input.element.bytes_of(&dims).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    Tensor { dims, element: input.element, data: vec![0; bytes] }
}

fn set(core: &mut Core, key: &'static str, value: &str) -> Result<(), Error> {
    let set = core.set_property(&DeviceType::CPU, &RwPropertyKey::Other(key.into()), value);
    set.map_err(Error::native(format!("set `{key}` to `{value}`")))
}

fn readable(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|_| path.is_file());
    text.ok_or_else(|| Error::FileNotFound { path: path.to_owned() })
}

/// Reads the reported properties back, and makes sure that every one that was set holds.
fn resolved(compiled: &CompiledModel, options: &Options) -> Result<BTreeMap<String, String>, Error> {
    let read = |key: &'static str| {
        let value = compiled
            .get_property(&PropertyKey::Other(key.into()))
            .map_err(Error::native(format!("read `{key}` back")))?;
        Ok((key.to_owned(), value.into_owned()))
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
