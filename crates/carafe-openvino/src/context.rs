//! One run of a graph with its state: nothing for a classifier, the KV cache for a decoder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carafe_tensor::{Dim, describe};

use crate::check::check_inputs;
use crate::decoder::{self, DecoderBounds, DecoderInputs, WrittenBlocks};
use crate::error::Error;
use crate::kind::TensorSpec;
use crate::native::{Output, Request};
use crate::ports::Interface;
use crate::tensor::{Tensor, TensorView};

/// A graph's execution context.
pub struct Context {
    request: Request,
    interface: Arc<Interface>,
    cache: Option<Cache>,
    dead: bool,
    inference: Duration,
}

/// What is known of a decoder's KV cache.
pub(crate) struct Cache {
    pub(crate) bounds: DecoderBounds,
    pub(crate) written: WrittenBlocks,
}

impl Context {
    pub(crate) fn new(interface: Arc<Interface>, request: Request, cache: Option<Cache>) -> Self {
        Self { request, interface, cache, dead: false, inference: Duration::ZERO }
    }

    /// Whether an earlier inference failed inside OpenVINO, so that nothing more can be inferred.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// How long OpenVINO itself took for the latest inference; the rest of a compute is checks and
    /// copies.
    #[must_use]
    pub fn inference(&self) -> Duration {
        self.inference
    }

    /// Infers, and hands the output by its name to `each`, borrowed from OpenVINO: copy what is to
    /// be kept.
    ///
    /// # Errors
    ///
    /// What the rules refuse, which leaves the context as it was; and OpenVINO's failures, after
    /// which it is dead.
    pub fn compute_with(
        &mut self,
        inputs: &[(&str, TensorView<'_>)],
        each: impl FnOnce(&str, TensorView<'_>),
    ) -> Result<(), Error> {
        if self.dead {
            return Err(Error::DeadContext);
        }
        let tensors = check_inputs(&self.interface.sides.inputs, inputs)?;
        let Some(cache) = &self.cache else {
            return self.infer(&tensors, 0, each);
        };
        let inputs = DecoderInputs::of(&self.interface.sides.inputs, &tensors)?;
        let checked = decoder::check_inputs(&cache.bounds, &cache.written, &inputs)?;
        self.infer(&tensors, checked.num_logits, each)?;
        if let Some(cache) = &mut self.cache {
            cache.written.apply(&checked);
        }
        Ok(())
    }

    /// Infers, and returns a copy of the output with its name.
    ///
    /// # Errors
    ///
    /// As [`Context::compute_with`].
    pub fn compute(&mut self, inputs: &[(&str, TensorView<'_>)]) -> Result<Vec<(String, Tensor)>, Error> {
        let mut outputs = Vec::new();
        self.compute_with(inputs, |name, tensor| outputs.push((name.to_owned(), tensor.to_tensor())))?;
        Ok(outputs)
    }

    /// Runs OpenVINO over tensors that keep every rule.
    fn infer(
        &mut self,
        tensors: &[TensorView<'_>],
        num_logits: u32,
        each: impl FnOnce(&str, TensorView<'_>),
    ) -> Result<(), Error> {
        // Dead until proven alive: whatever fails from here on has left the state unknown.
        self.dead = true;
        let inputs: Vec<_> = self.interface.inputs.iter().copied().zip(tensors.iter().copied()).collect();
        let started = Instant::now();
        self.request.infer(&inputs).map_err(Error::native("compute"))?;
        self.inference = started.elapsed();
        let output = &self.interface.sides.output;
        let tensor = self.request.output(self.interface.output);
        let tensor = tensor.map_err(Error::native(format!("read `{}`", output.name)))?;
        let dims = expected_dims(&tensor, output, num_logits)?;
        each(&output.name, TensorView { dims: &dims, element: output.element, data: tensor.data });
        self.dead = false;
        Ok(())
    }
}

/// The output's dimensions by its description; what OpenVINO gives must have these, the type and
/// the bytes of both.
fn expected_dims(tensor: &Output<'_>, output: &TensorSpec, num_logits: u32) -> Result<Vec<u32>, Error> {
    let size = |dim: &Dim| if let Dim::Fixed(size) = *dim { size } else { num_logits };
    let dims: Vec<u32> = output.shape.iter().map(size).collect();
    let same_shape = dims.iter().map(|&size| u64::from(size)).eq(tensor.dims.iter().copied());
    let bytes = tensor.data.len() as u64;
    if same_shape && tensor.element == output.element.name() && output.element.bytes_of(&dims) == Some(bytes) {
        return Ok(dims);
    }
    let expected = describe(output.element, &dims);
    let got = format!("{} with {bytes} bytes", describe(&tensor.element, &tensor.dims));
    Err(Error::WrongOutput { tensor: output.name.clone(), expected, got })
}
