//! A model compiled under one configuration, from which contexts are made.
//!
//! The weights are mapped from their file, not copied. The handle of a compiled model is not to be
//! used by two threads at once, so it sits behind a lock; contexts work without it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use carafe_tensor::Dim;

use crate::compile::{self, GraphFiles};
use crate::context::{Cache, Context};
use crate::decoder::{CacheLayout, DecoderBounds, WrittenBlocks};
use crate::error::Error;
use crate::kind::{DecoderSpec, GraphKind, TensorSpec};
use crate::native;
use crate::ports::{self, Interface};
use crate::profile::Options;
use crate::runtime::Runtime;
use crate::tensor::{Tensor, TensorView};

/// A compiled model; clones share it.
#[derive(Clone)]
pub struct Graph {
    shared: Arc<Shared>,
    /// Blocks of the KV cache of each context; 0 for a graph without one, and before it is known.
    num_blocks: u32,
}

struct Shared {
    kind: GraphKind,
    interface: Arc<Interface>,
    options: Options,
    properties: BTreeMap<String, String>,
    /// Of a decoder.
    cache: Option<CacheLayout>,
    compiled: Mutex<native::Graph>,
}

impl Graph {
    /// Reads a model, holds it against its kind, turns a decoder's KV cache into pages, and
    /// compiles it.
    ///
    /// # Errors
    ///
    /// When a file is missing, when the model differs from its kind, is wider than 32 bits or
    /// cannot be paged, when a property does not hold, or when OpenVINO fails.
    pub fn load(runtime: &Runtime, files: &GraphFiles, kind: GraphKind, options: &Options) -> Result<Self, Error> {
        kind.check()?;
        options.check()?;
        let mut model = compile::read(runtime, files)?;
        ports::compare(&model, &kind.file_sides())?;
        if let GraphKind::Decoder(_) = kind {
            let failed = Error::native(format!("turn the KV cache of `{}` into pages", files.xml.display()));
            model.page().map_err(failed)?;
            ports::compare_paged(&model, &kind.sides())?;
        }
        let (compiled, properties) = compile::compile(model, files, options)?;
        let cache = match kind {
            GraphKind::Decoder(_) => Some(CacheLayout::read(&compiled)?),
            GraphKind::Classifier(_) => None,
        };
        let interface = Arc::new(Interface::new(kind.sides(), &compiled)?);
        let compiled = Mutex::new(compiled);
        let shared = Shared { kind, interface, options: *options, properties, cache, compiled };
        Ok(Self { shared: Arc::new(shared), num_blocks: 0 })
    }

    /// What the graph does.
    #[must_use]
    pub fn kind(&self) -> &GraphKind {
        &self.shared.kind
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

    /// How a decoder's KV cache is laid out; none for a classifier.
    #[must_use]
    pub fn cache(&self) -> Option<&CacheLayout> {
        self.shared.cache.as_ref()
    }

    /// Blocks of the KV cache of each context.
    #[must_use]
    pub fn num_blocks(&self) -> u32 {
        self.num_blocks
    }

    /// The same graph, whose contexts have a KV cache of this many blocks.
    #[must_use]
    pub fn with_num_blocks(self, num_blocks: u32) -> Self {
        Self { num_blocks, ..self }
    }

    /// A context with fresh state: of a decoder a zeroed KV cache, of which nothing counts as
    /// written.
    ///
    /// # Errors
    ///
    /// When there is no memory for the cache, or OpenVINO fails.
    pub fn context(&self) -> Result<Context, Error> {
        let cache = match (&self.shared.kind, &self.shared.cache) {
            (GraphKind::Decoder(spec), Some(layout)) => Some(self.empty_cache(spec, layout)?),
            _ => None,
        };
        let compiled = self.shared.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let request = compiled.request(self.num_blocks);
        drop(compiled);
        let action = format!("make a context with {} blocks", self.num_blocks);
        let request = request.map_err(Error::native(action))?;
        Ok(Context::new(Arc::clone(&self.shared.interface), request, cache))
    }

    fn empty_cache(&self, spec: &DecoderSpec, layout: &CacheLayout) -> Result<Cache, Error> {
        if self.num_blocks == 0 {
            let reason = "a decoder's contexts need at least one block; see `Graph::with_num_blocks`".to_owned();
            return Err(Error::InvalidSpec { reason });
        }
        let bounds = DecoderBounds { spec: *spec, block_size: layout.block_size };
        Ok(Cache { bounds, written: WrittenBlocks::new(self.num_blocks) })
    }

    /// Infers once, as little as can be, in a context of its own: OpenVINO repacks weights at the
    /// first inference.
    ///
    /// # Errors
    ///
    /// When OpenVINO fails.
    pub fn warm_up(&self) -> Result<(), Error> {
        let inputs: Vec<(&str, Tensor)> =
            self.shared.interface.sides.inputs.iter().map(|input| (&*input.name, least(input))).collect();
        let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
        let graph = Self { shared: Arc::clone(&self.shared), num_blocks: u32::from(self.shared.cache.is_some()) };
        graph.context()?.compute_with(&views, |_, _| ())
    }
}

/// The least input: zeros of a fixed shape, or what one sequence with one token, 0, consists of.
fn least(input: &TensorSpec) -> Tensor {
    use carafe_tensor::Role;
    match input.role {
        Role::SubsequenceBegins | Role::BlockIndicesBegins => Tensor::from_i32(&[2], &[0, 1]),
        Role::MaxContextLen => Tensor::from_i32(&[], &[1]),
        _ => {
            let dims: Vec<u32> =
                input.shape.iter().map(|dim| if let Dim::Fixed(size) = *dim { size } else { 1 }).collect();
            let bytes = input.element.bytes_of(&dims).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
            Tensor { dims, element: input.element, data: vec![0; bytes] }
        }
    }
}
