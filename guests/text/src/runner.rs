//! The model over wasi:nn: the inputs of a step become tensors, the one output of the inference its
//! logits.

use carafe_core::text::{Logits, ModelInput, ModelRunner, Role, RunError};

use crate::bindings::exports::carafe::guests::generation::Model;
use crate::bindings::wasi::nn::errors::Error;
use crate::bindings::wasi::nn::graph::{Graph, load_by_name};
use crate::bindings::wasi::nn::inference::GraphExecutionContext;
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};

/// A graph of the host with a context of it, whose KV cache the host keeps.
pub(crate) struct WasiNn {
    graph: Graph,
    context: Option<GraphExecutionContext>,
}

impl WasiNn {
    /// Names the model's graph to the host.
    pub(crate) fn open(model: &Model) -> Result<Self, RunError> {
        let graph = load_by_name(&model.graph).map_err(|error| failed("load-by-name", &error))?;
        Ok(Self { graph, context: None })
    }
}

impl ModelRunner for WasiNn {
    fn reset(&mut self) -> Result<(), RunError> {
        // The host keeps one cache at a time for a guest: the old one goes first.
        self.context = None;
        let context = self.graph.init_execution_context().map_err(|error| failed("init-execution-context", &error))?;
        self.context = Some(context);
        Ok(())
    }

    fn run(&mut self, inputs: &[ModelInput], logits: &mut Logits) -> Result<(), RunError> {
        let Some(context) = &self.context else {
            return Err(RunError::new("the model has no KV cache; it must be reset first"));
        };
        let inputs = inputs.iter().map(tensor).collect();
        let outputs = context.compute(inputs).map_err(|error| failed("compute", &error))?;
        let output = outputs.into_iter().find(|(name, _)| name == Role::Logits.name());
        let Some((_, output)) = output else {
            return Err(RunError::new(format!("the graph has no output `{}`", Role::Logits)));
        };
        // [N, V] f32, little-endian
        *logits = Logits::Bytes(output.data());
        Ok(())
    }
}

fn tensor(input: &ModelInput) -> (String, Tensor) {
    let data: Vec<u8> = input.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (input.role.name().to_owned(), Tensor::new(&input.dims, TensorType::I32, &data))
}

fn failed(call: &str, error: &Error) -> RunError {
    RunError::new(format!("wasi:nn `{call}` failed ({:?}): {}", error.code(), error.data()))
}
