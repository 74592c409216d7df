//! The graph behind wasi-nn: loaded by name, computed with one tensor, read by name.
//!
//! A host may call outputs by other names than the graph's own (the stock one counts "0", "1", …),
//! so a graph's only output is taken whatever its name. wasi-nn's errors keep their code and data
//! in the text.

use carafe_core::image::{PixelTensor, TensorBytes};

use crate::bindings::exports::carafe::guests::classification::Error;
use crate::bindings::wasi::nn::errors;
use crate::bindings::wasi::nn::graph::load_by_name;
use crate::bindings::wasi::nn::inference::GraphExecutionContext;
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};

/// A graph with one input and the output that holds the scores.
pub(crate) struct Graph {
    context: GraphExecutionContext,
    input: String,
    output: String,
}

impl Graph {
    /// Loads the graph that the host keeps under this name.
    pub(crate) fn load(name: &str, input: String, output: String) -> Result<Self, Error> {
        let graph = load_by_name(name).map_err(|error| refused(&format!("graph `{name}` was not loaded"), &error))?;
        let context = graph.init_execution_context().map_err(|error| refused("no context was made", &error))?;
        Ok(Self { context, input, output })
    }

    /// The bytes of the scores for these pixels.
    pub(crate) fn compute(&self, pixels: &PixelTensor) -> Result<Vec<u8>, Error> {
        let (kind, bytes) = match &pixels.bytes {
            TensorBytes::U8(bytes) => (TensorType::U8, bytes),
            TensorBytes::F32(bytes) => (TensorType::Fp32, bytes),
        };
        let tensor = Tensor::new(&pixels.dimensions, kind, bytes);
        let outputs = self.context.compute(vec![(self.input.clone(), tensor)]);
        self.scores(outputs.map_err(|error| refused("the graph failed", &error))?)
    }

    fn scores(&self, mut outputs: Vec<(String, Tensor)>) -> Result<Vec<u8>, Error> {
        let place = match outputs.as_slice() {
            [_] => Some(0),
            several => several.iter().position(|(name, _)| *name == self.output),
        };
        match place {
            Some(place) => Ok(outputs.swap_remove(place).1.data()),
            None => {
                Err(Error::Model(format!("none of the graph's {} outputs is named `{}`", outputs.len(), self.output)))
            }
        }
    }
}

fn refused(what: &str, error: &errors::Error) -> Error {
    Error::Model(format!("{what}: {:?}: {}", error.code(), error.data()))
}
