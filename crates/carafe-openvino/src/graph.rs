//! A model compiled under one configuration, from which contexts are made.
//!
//! The weights are mapped from their file, not copied. The handle of a compiled model is not to be used by two threads at once,
//! so it sits behind a lock; contexts work without it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::check::Sizes;
use crate::compile::{self, GraphFiles};
use crate::context::Context;
use crate::error::Error;
use crate::native;
use crate::ports::{self, Interface};
use crate::profile::Options;
use crate::runtime::Runtime;
use crate::spec::{GraphSpec, TensorSpec};
use crate::tensor::{Tensor, TensorView};

/// A compiled model; clones share it.
#[derive(Clone)]
pub struct Graph {
    shared: Arc<Shared>,
}

struct Shared {
    interface: Arc<Interface>,
    options: Options,
    properties: BTreeMap<String, String>,
    compiled: Mutex<native::Graph>,
}

impl Graph {
    /// Reads a model, holds it against its description, and compiles it.
    ///
    /// # Errors
    ///
    /// When a file is missing, when the model differs from its description or is wider than 32 bits, when a property
    /// does not hold, or when OpenVINO fails.
    pub fn load(runtime: &Runtime, files: &GraphFiles, spec: GraphSpec, options: &Options) -> Result<Self, Error> {
        let model = compile::read(runtime, files)?;
        ports::compare(&model, &spec)?;
        let (compiled, properties) = compile::compile(model, files, options)?;
        let interface = Arc::new(Interface::new(spec, &compiled)?);
        let compiled = Mutex::new(compiled);
        Ok(Self { shared: Arc::new(Shared { interface, options: *options, properties, compiled }) })
    }

    /// What the graph expects and gives.
    #[must_use]
    pub fn spec(&self) -> &GraphSpec {
        &self.shared.interface.spec
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
        let compiled = self.shared.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let request = compiled.request(0).map_err(Error::native("make a context"))?;
        drop(compiled);
        Ok(Context::new(Arc::clone(&self.shared.interface), request))
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
