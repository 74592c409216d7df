//! A request that runs in the sandbox.

use anyhow::Result;
use carafe_host::text::{EventKind, Generation, Request, TextModel, TextOptions};
use carafe_host::{Limits, LoadedGraph, Sandbox};

use super::Source;

/// A text model's guest and its one request.
pub(crate) struct Sandboxed {
    // Before the model, so that it is cancelled before the model's thread ends.
    generation: Generation,
    model: TextModel,
}

impl Sandboxed {
    /// Opens a guest and submits the request.
    pub(crate) fn start(model: &LoadedGraph, options: TextOptions, limits: Limits, request: Request) -> Result<Self> {
        let model = TextModel::start(&Sandbox::new()?, model, options, limits)?;
        let generation = model.submit_blocking(request)?;
        Ok(Self { generation, model })
    }
}

impl Source for Sandboxed {
    fn next(&mut self) -> Result<Option<EventKind>> {
        Ok(self.generation.next_blocking())
    }

    fn guest_memory(&self) -> Option<u64> {
        // Each of the two guests has the limit to itself.
        let stats = self.model.stats();
        Some(stats.generator_memory.max(stats.preparer_memory))
    }
}
