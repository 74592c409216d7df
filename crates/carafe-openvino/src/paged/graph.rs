//! A decoder that was compiled with its KV cache in blocks.
//!
//! The folder of a model holds an ordinary stateful graph. Its cache becomes pages in memory, at load: what the pass makes is OpenVINO's
//! own business, changes from release to release, and cannot be stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::PagedBounds;
use super::context::PagedContext;
use crate::compile::{self, GraphFiles};
use crate::error::Error;
use crate::native;
use crate::ports;
use crate::profile::Options;
use crate::runtime::Runtime;
use crate::shape::{Direction, Role};
use crate::spec::GraphSpec;

/// The inputs that a paged decoder keeps of its stateful form, by role, and those that come with the pages, by their names.
const KEPT: [Role; 3] = [Role::InputIds, Role::PositionIds, Role::LogitIdx];
const ADDED: [&str; 5] =
    ["past_lens", "subsequence_begins", "block_indices", "block_indices_begins", "max_context_len"];

/// A compiled decoder whose KV cache lies in blocks; clones share it.
#[derive(Clone)]
pub struct PagedGraph {
    shared: Arc<Shared>,
}

struct Shared {
    ports: PagedPorts,
    bounds: PagedBounds,
    cache: CacheLayout,
    properties: BTreeMap<String, String>,
    compiled: Mutex<native::Graph>,
}

/// The numbers that inputs and output have in the compiled graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct PagedPorts {
    pub(super) input_ids: usize,
    pub(super) position_ids: usize,
    pub(super) logit_idx: usize,
    pub(super) past_lens: usize,
    pub(super) subsequence_begins: usize,
    pub(super) block_indices: usize,
    pub(super) block_indices_begins: usize,
    pub(super) max_context_len: usize,
    pub(super) logits: usize,
}

/// The KV cache as the plugin lays it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// Tokens of a block.
    pub block_size: u32,
    /// Bytes of a block over all layers, keys and values.
    pub block_bytes: u64,
    /// The element types of keys and values in OpenVINO's words.
    pub key_precision: String,
    /// See `key_precision`.
    pub value_precision: String,
}

impl PagedGraph {
    /// Reads a stateful decoder, holds it against its description, turns its cache into pages, and compiles it. `bounds` says what one
    /// inference may ask for, its `block_size` excepted, which is the plugin's.
    ///
    /// # Errors
    ///
    /// As [`Graph::load`](crate::Graph::load), and when the graph cannot be paged.
    pub fn load(
        runtime: &Runtime,
        files: &GraphFiles,
        spec: &GraphSpec,
        options: &Options,
        bounds: PagedBounds,
    ) -> Result<Self, Error> {
        let mut model = compile::read(runtime, files)?;
        ports::compare(&model, spec)?;
        model.page().map_err(Error::native(format!("turn the KV cache of `{}` into pages", files.xml.display())))?;
        let (compiled, properties) = compile::compile(model, files, options)?;
        let cache = cache_layout(&compiled)?;
        let ports = ports(&compiled, spec)?;
        let bounds = PagedBounds { block_size: cache.block_size, ..bounds };
        let compiled = Mutex::new(compiled);
        Ok(Self { shared: Arc::new(Shared { ports, bounds, cache, properties, compiled }) })
    }

    /// What one inference may ask for.
    #[must_use]
    pub fn bounds(&self) -> &PagedBounds {
        &self.shared.bounds
    }

    /// How the KV cache is laid out.
    #[must_use]
    pub fn cache(&self) -> &CacheLayout {
        &self.shared.cache
    }

    /// What the plugin resolved its properties to.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.shared.properties
    }

    /// A context with a zeroed cache of so many blocks, none of which counts as written.
    ///
    /// # Errors
    ///
    /// When there is no memory for it, or OpenVINO fails.
    pub fn context(&self, num_blocks: u32) -> Result<PagedContext, Error> {
        let compiled = self.shared.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let request = compiled.request(num_blocks);
        drop(compiled);
        let request = request.map_err(Error::native(format!("make a context with {num_blocks} blocks")))?;
        Ok(PagedContext::new(self.shared.ports, self.shared.bounds, request, num_blocks))
    }
}

fn cache_layout(compiled: &native::Graph) -> Result<CacheLayout, Error> {
    let cache = compiled.cache().map_err(Error::native("describe the KV cache"))?;
    let block_size = u32::try_from(cache.block_size).ok().filter(|&size| size > 0).ok_or_else(|| {
        let (expected, got) = ("blocks of at least one token".to_owned(), format!("{} tokens", cache.block_size));
        Error::PropertyChanged { property: "block size of the KV cache".to_owned(), expected, got }
    })?;
    Ok(CacheLayout {
        block_size,
        block_bytes: cache.block_bytes,
        key_precision: cache.key_element,
        value_precision: cache.value_element,
    })
}

fn ports(compiled: &native::Graph, spec: &GraphSpec) -> Result<PagedPorts, Error> {
    let find = |direction: Direction, name: &str| {
        let found = compiled.port(direction, name);
        found.map_err(Error::native(format!("find {direction} `{name}`")))
    };
    let of_role = |role: Role| {
        let tensor = spec.inputs().iter().find(|tensor| tensor.role == role);
        tensor.map_or_else(
            || Err(Error::InvalidSpec { reason: format!("a paged decoder needs an input with the role {role:?}") }),
            |tensor| find(Direction::Input, &tensor.name),
        )
    };
    let [input_ids, position_ids, logit_idx] = KEPT.map(of_role);
    let [past_lens, subsequence_begins, block_indices, block_indices_begins, max_context_len] =
        ADDED.map(|name| find(Direction::Input, name));
    let logits = spec.outputs().first().map_or("logits", |output| &output.name);
    Ok(PagedPorts {
        input_ids: input_ids?,
        position_ids: position_ids?,
        logit_idx: logit_idx?,
        past_lens: past_lens?,
        subsequence_begins: subsequence_begins?,
        block_indices: block_indices?,
        block_indices_begins: block_indices_begins?,
        max_context_len: max_context_len?,
        logits: find(Direction::Output, logits)?,
    })
}
