//! The forward pass over wasi:nn: one step becomes five tensors and a compute, its one output the logits.

use carafe_core::text::{Forward, ForwardError, Logits, Step};

use crate::bindings::exports::carafe::guests::generation::{Model, TensorNames};
use crate::bindings::wasi::nn::errors::Error;
use crate::bindings::wasi::nn::graph::{Graph, load_by_name};
use crate::bindings::wasi::nn::inference::GraphExecutionContext;
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};

/// A graph of the host and the names of its tensors.
pub(crate) struct WasiNn {
    graph: Graph,
    names: TensorNames,
}

impl WasiNn {
    /// Names the model's graph to the host.
    pub(crate) fn open(model: &Model) -> Result<Self, ForwardError> {
        let graph = load_by_name(&model.graph).map_err(|error| failed("load-by-name", &error))?;
        Ok(Self { graph, names: model.tensors.clone() })
    }
}

impl Forward for WasiNn {
    type Context = GraphExecutionContext;

    fn open_context(&mut self) -> Result<GraphExecutionContext, ForwardError> {
        self.graph.init_execution_context().map_err(|error| failed("init-execution-context", &error))
    }

    fn forward(
        &mut self,
        context: &mut GraphExecutionContext,
        step: &Step<'_>,
        logits: &mut Logits,
    ) -> Result<(), ForwardError> {
        let outputs = context.compute(self.inputs(step)).map_err(|error| failed("compute", &error))?;
        // [N, V] f32, little-endian
        *logits = Logits::Bytes(self.logits(outputs)?.data());
        Ok(())
    }
}

impl WasiNn {
    fn inputs(&self, step: &Step<'_>) -> Vec<(String, Tensor)> {
        let (names, rows, total) = (&self.names, step.rows, step.attention_mask.len() / step.rows.max(1));
        vec![
            input(&names.input_ids, &[rows, step.length], step.input_ids),
            input(&names.position_ids, &[rows, step.length], step.position_ids),
            input(&names.attention_mask, &[rows, total], step.attention_mask),
            input(&names.beam_idx, &[rows], step.beam_idx),
            input(&names.logit_idx, &[step.logit_idx.len()], step.logit_idx),
        ]
    }

    /// The logits by their name, or the only output: wasi:nn's stock backend calls its outputs by number.
    fn logits(&self, mut outputs: Vec<(String, Tensor)>) -> Result<Tensor, ForwardError> {
        let named = outputs.iter().position(|(name, _)| *name == self.names.logits);
        match named.or((outputs.len() == 1).then_some(0)) {
            Some(index) => Ok(outputs.swap_remove(index).1),
            None => Err(ForwardError::new(format!("the graph has no output `{}`", self.names.logits))),
        }
    }
}

fn input(name: &str, dimensions: &[usize], values: &[i32]) -> (String, Tensor) {
    // A step is bounded far below 2^32; a dimension that would not fit is refused by the host, since its bytes would not match.
    let dimensions: Vec<u32> = dimensions.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name.to_owned(), Tensor::new(&dimensions, TensorType::I32, &data))
}

fn failed(call: &str, error: &Error) -> ForwardError {
    ForwardError::new(format!("wasi:nn `{call}` failed ({:?}): {}", error.code(), error.data()))
}
