//! One execution context: a graph's state and the computes that advance it.
//!
//! A tensor that breaks a rule is refused before OpenVINO sees anything, and leaves the context as it was. A failure
//! inside OpenVINO is another matter: the state is then unknown, so the context is dead and says so from then on.
//! There is no reset; a fresh state is a new context.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openvino::{InferRequest, Shape};

use crate::check::{Checked, ContextState, Sizes, check};
use crate::error::Error;
use crate::graph::Shared;
use crate::ports::{element_name, native_element};
use crate::spec::{TensorSpec, describe};
use crate::tensor::{Tensor, TensorView};

/// A graph's state (for text, the KV cache), and computes on it.
pub struct Context {
    request: InferRequest,
    graph: Arc<Shared>,
    state: ContextState,
    inference: Duration,
}

impl Context {
    pub(crate) fn new(graph: Arc<Shared>, request: InferRequest) -> Self {
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
        self.bind(&checked)?;
        let started = Instant::now();
        self.request.infer().map_err(Error::native("compute"))?;
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

    fn bind(&mut self, checked: &Checked<'_>) -> Result<(), Error> {
        for (input, view) in self.graph.spec.inputs().iter().zip(&checked.tensors) {
            let tensor = copy_in(view).map_err(Error::native(format!("make a tensor for `{}`", input.name)))?;
            let set = self.request.set_tensor(&input.name, &tensor);
            set.map_err(Error::native(format!("bind `{}`", input.name)))?;
        }
        Ok(())
    }

    fn hand_out(&self, sizes: &Sizes, mut each: impl FnMut(&str, TensorView<'_>)) -> Result<(), Error> {
        for output in self.graph.spec.outputs() {
            let failed = || Error::native(format!("read `{}`", output.name));
            let tensor = self.request.get_tensor(&output.name).map_err(failed())?;
            let dims = expected_dims(&tensor, output, sizes)?;
            let data = tensor.get_raw_data().map_err(failed())?;
            each(&output.name, TensorView { dims: &dims, element: output.element, data });
        }
        Ok(())
    }
}

fn copy_in(view: &TensorView<'_>) -> Result<openvino::Tensor, openvino::InferenceError> {
    let dims: Vec<i64> = view.dims.iter().map(|&size| i64::from(size)).collect();
    let mut tensor = openvino::Tensor::new(native_element(view.element), &Shape::new(&dims)?)?;
    // Both are the product of the same checked dimensions and element size.
    tensor.get_raw_data_mut()?.copy_from_slice(view.data);
    Ok(tensor)
}

/// The output's dimensions by its description; what OpenVINO gives must have these, the type and as many bytes.
fn expected_dims(tensor: &openvino::Tensor, output: &TensorSpec, sizes: &Sizes) -> Result<Vec<u32>, Error> {
    let failed = || Error::native(format!("read the shape of `{}`", output.name));
    let (shape, element) = (tensor.get_shape().map_err(failed())?, tensor.get_element_type().map_err(failed())?);
    let bytes = tensor.get_byte_size().map_err(failed())?;
    let dims: Vec<u32> = output.shape.iter().map(|dim| sizes.of(*dim)).collect();
    let same_shape = dims.iter().map(|&size| i64::from(size)).eq(shape.get_dimensions().iter().copied());
    let needed = output.element.bytes_of(&dims);
    if same_shape && element == native_element(output.element) && needed == Some(bytes as u64) {
        return Ok(dims);
    }
    let expected = describe(output.element, &dims);
    let got = format!("{} with {bytes} bytes", describe(element_name(element), shape.get_dimensions()));
    Err(Error::WrongOutput { tensor: output.name.clone(), expected, got })
}
