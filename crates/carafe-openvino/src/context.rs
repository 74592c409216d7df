//! One execution context: a graph's state and the computes that advance it.
//!
//! A tensor that breaks a rule is refused before OpenVINO sees anything, and leaves the context as it was. A failure
//! inside OpenVINO is another matter: the state is then unknown, so the context is dead and says so from then on.
//! There is no reset; a fresh state is a new context.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::check::{ContextState, Sizes, check};
use crate::error::Error;
use crate::native::{Output, Request};
use crate::ports::Interface;
use crate::shape::describe;
use crate::spec::TensorSpec;
use crate::tensor::{Tensor, TensorView};

/// A graph's state (for text, the KV cache), and computes on it.
pub struct Context {
    request: Request,
    graph: Arc<Interface>,
    state: ContextState,
    inference: Duration,
}

impl Context {
    pub(crate) fn new(graph: Arc<Interface>, request: Request) -> Self {
        Self { request, graph, state: ContextState::default(), inference: Duration::ZERO }
    }

    /// Rows and positions kept, and whether the context is dead.
    #[must_use]
    pub fn state(&self) -> &ContextState {
        &self.state
    }

    /// How long OpenVINO itself took for the latest compute; the rest of it is checks and copies.
    #[must_use]
    pub fn inference(&self) -> Duration {
        self.inference
    }

    /// Computes, and hands each output by its name to `each`, borrowed from OpenVINO: copy what is to be kept.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses, which leaves the context usable; and OpenVINO's failures, after which it is dead.
    pub fn compute_with(
        &mut self,
        inputs: &[(&str, TensorView<'_>)],
        each: impl FnMut(&str, TensorView<'_>),
    ) -> Result<(), Error> {
        let checked = check(&self.graph.spec, &self.state, inputs)?;
        // Dead until proven alive: whatever fails from here on has left the state unknown.
        self.state.dead = true;
        let inputs: Vec<_> = self.graph.inputs.iter().copied().zip(checked.tensors).collect();
        let started = Instant::now();
        self.request.infer(&inputs).map_err(Error::native("compute"))?;
        self.inference = started.elapsed();
        self.hand_out(&checked.sizes, each)?;
        self.state = checked.next;
        Ok(())
    }

    /// Computes, and returns a copy of each output with its name.
    ///
    /// # Errors
    ///
    /// As [`Context::compute_with`].
    pub fn compute(&mut self, inputs: &[(&str, TensorView<'_>)]) -> Result<Vec<(String, Tensor)>, Error> {
        let mut outputs = Vec::new();
        self.compute_with(inputs, |name, tensor| outputs.push((name.to_owned(), tensor.to_tensor())))?;
        Ok(outputs)
    }

    fn hand_out(&mut self, sizes: &Sizes, mut each: impl FnMut(&str, TensorView<'_>)) -> Result<(), Error> {
        for (output, &port) in self.graph.spec.outputs().iter().zip(&self.graph.outputs) {
            let tensor = self.request.output(port).map_err(Error::native(format!("read `{}`", output.name)))?;
            let dims = expected_dims(&tensor, output, sizes)?;
            each(&output.name, TensorView { dims: &dims, element: output.element, data: tensor.data });
        }
        Ok(())
    }
}

/// The output's dimensions by its description; what OpenVINO gives must have these, the type and the bytes of both.
fn expected_dims(tensor: &Output<'_>, output: &TensorSpec, sizes: &Sizes) -> Result<Vec<u32>, Error> {
    let dims: Vec<u32> = output.shape.iter().map(|dim| sizes.of(*dim)).collect();
    let same_shape = dims.iter().map(|&size| u64::from(size)).eq(tensor.dims.iter().copied());
    let bytes = tensor.data.len() as u64;
    if same_shape && tensor.element == output.element.name() && output.element.bytes_of(&dims) == Some(bytes) {
        return Ok(dims);
    }
    let expected = describe(output.element, &dims);
    let got = format!("{} with {bytes} bytes", describe(&tensor.element, &tensor.dims));
    Err(Error::WrongOutput { tensor: output.name.clone(), expected, got })
}
