//! The inputs of one compute, right at first, for attacks to spoil.

use crate::bindings::exports::carafe::guests::generation::{Model, TensorNames};
use crate::bindings::wasi::nn::graph::load_by_name;
use crate::bindings::wasi::nn::inference::GraphExecutionContext;
use crate::bindings::wasi::nn::tensor::{Tensor, TensorType};

/// One input before it becomes a tensor.
#[derive(Clone)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<u32>,
    pub(crate) ty: TensorType,
    pub(crate) data: Vec<u8>,
}

impl Input {
    pub(crate) fn new(name: &str, dimensions: &[u32], values: &[i32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.to_owned(), dimensions: dimensions.to_vec(), ty: TensorType::I32, data }
    }

    fn tensor(&self) -> (String, Tensor) {
        (self.name.clone(), Tensor::new(&self.dimensions, self.ty, &self.data))
    }
}

/// The five inputs of a text graph's step.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) input_ids: Input,
    pub(crate) position_ids: Input,
    pub(crate) attention_mask: Input,
    pub(crate) beam_idx: Input,
    pub(crate) logit_idx: Input,
}

impl Inputs {
    /// A right step of `rows` rows and one position a row, on a context that holds `past` positions.
    pub(crate) fn step(names: &TensorNames, rows: u32, past: u32) -> Self {
        Self::wide_step(names, rows, 1, past)
    }

    /// As [`Inputs::step`], with `length` positions a row.
    pub(crate) fn wide_step(names: &TensorNames, rows: u32, length: u32, past: u32) -> Self {
        let (new, total) = ((rows * length) as usize, past + length);
        Self {
            input_ids: Input::new(&names.input_ids, &[rows, length], &vec![0; new]),
            position_ids: Input::new(&names.position_ids, &[rows, length], &vec![0; new]),
            attention_mask: Input::new(&names.attention_mask, &[rows, total], &vec![1; (rows * total) as usize]),
            beam_idx: Input::new(&names.beam_idx, &[rows], &vec![0; rows as usize]),
            logit_idx: Input::new(&names.logit_idx, &[1], &[0]),
        }
    }

    pub(crate) fn all(&self) -> Vec<Input> {
        let inputs = [&self.input_ids, &self.position_ids, &self.attention_mask, &self.beam_idx, &self.logit_idx];
        inputs.into_iter().cloned().collect()
    }
}

/// A fresh context of the model's graph.
pub(crate) fn context(model: &Model) -> GraphExecutionContext {
    let graph = load_by_name(&model.graph).unwrap_or_else(|error| panic!("{}", error.data()));
    graph.init_execution_context().unwrap_or_else(|error| panic!("{}", error.data()))
}

/// What the host answers to a compute.
pub(crate) fn compute(context: &GraphExecutionContext, inputs: &[Input]) -> String {
    match context.compute(inputs.iter().map(Input::tensor).collect()) {
        Ok(outputs) => format!("served {} bytes", outputs.iter().map(|(_, tensor)| tensor.data().len()).sum::<usize>()),
        Err(error) => format!("{:?}: {}", error.code(), error.data()),
    }
}
