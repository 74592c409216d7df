//! One KV cache, and inferences that read and write it.

use std::time::{Duration, Instant};

use super::check::check_inputs;
use super::graph::PagedPorts;
use super::{PagedBounds, PagedInputs, WrittenBlocks};
use crate::error::Error;
use crate::native::Request;
use crate::shape::describe;
use crate::tensor::{ElementType, TensorView};

/// A KV cache of blocks, and inferences on it.
pub struct PagedContext {
    ports: PagedPorts,
    bounds: PagedBounds,
    request: Request,
    written: WrittenBlocks,
    dead: bool,
    inference: Duration,
}

impl PagedContext {
    pub(super) fn new(ports: PagedPorts, bounds: PagedBounds, request: Request, num_blocks: u32) -> Self {
        let written = WrittenBlocks::new(num_blocks);
        Self { ports, bounds, request, written, dead: false, inference: Duration::ZERO }
    }

    /// How long OpenVINO itself took for the latest inference; the rest of it is checks and copies.
    #[must_use]
    pub fn inference(&self) -> Duration {
        self.inference
    }

    /// Infers, and returns the logits `[N,V]` as little-endian f32, borrowed from OpenVINO until the next inference.
    ///
    /// # Errors
    ///
    /// What [`check_inputs`] refuses, which leaves the context as it was; and OpenVINO's failures, after which it is dead.
    pub fn infer(&mut self, inputs: &PagedInputs<'_>) -> Result<&[u8], Error> {
        if self.dead {
            return Err(Error::DeadContext);
        }
        let checked = check_inputs(&self.bounds, &self.written, inputs)?;
        // Dead until proven alive: whatever fails from here on has left the cache unknown.
        self.dead = true;
        let started = Instant::now();
        self.run(inputs)?;
        self.inference = started.elapsed();
        self.written.apply(&checked);
        self.dead = false;
        self.logits([checked.num_logits, self.bounds.vocabulary_size])
    }

    fn run(&mut self, inputs: &PagedInputs<'_>) -> Result<(), Error> {
        let ports = self.ports;
        let vectors = [
            (ports.input_ids, inputs.input_ids),
            (ports.position_ids, inputs.position_ids),
            (ports.past_lens, inputs.past_lens),
            (ports.subsequence_begins, inputs.subsequence_begins),
            (ports.block_indices, inputs.block_indices),
            (ports.block_indices_begins, inputs.block_indices_begins),
            (ports.logit_idx, inputs.logit_idx),
        ];
        // Their lengths were checked to fit.
        let dims = vectors.map(|(_, values)| [u32::try_from(values.len()).unwrap_or(u32::MAX)]);
        let element = ElementType::I32;
        let vectors = vectors
            .iter()
            .zip(&dims)
            .map(|(&(port, values), dims)| (port, TensorView { dims, element, data: values.as_flattened() }));
        let scalar = (ports.max_context_len, TensorView { dims: &[], element, data: &inputs.max_context_len });
        let all: Vec<_> = vectors.chain([scalar]).collect();
        self.request.infer(&all).map_err(Error::native("infer"))
    }

    fn logits(&mut self, dims: [u32; 2]) -> Result<&[u8], Error> {
        let output = self.request.output(self.ports.logits).map_err(Error::native("read the logits"))?;
        let element = ElementType::F32;
        let same_shape = output.dims.iter().copied().eq(dims.map(u64::from));
        if !same_shape || output.element != element.name() || element.bytes_of(&dims) != Some(output.data.len() as u64)
        {
            let (tensor, expected) = ("logits".to_owned(), describe(element, &dims));
            return Err(Error::WrongOutput { tensor, expected, got: describe(&output.element, &output.dims) });
        }
        Ok(output.data)
    }
}
