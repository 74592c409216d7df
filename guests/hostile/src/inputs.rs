//! The inputs of one inference, right at first, for attacks to spoil.

use crate::bindings::exports::carafe::guests::generation::Model;
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
    /// A list of numbers.
    pub(crate) fn new(name: &str, values: &[i32]) -> Self {
        let data = bytes(values);
        Self { name: name.to_owned(), dimensions: vec![values.len() as u32], ty: TensorType::I32, data }
    }

    /// The same input with other numbers, and as many dimensions as before.
    pub(crate) fn set(&mut self, values: &[i32]) {
        self.data = bytes(values);
        if let [length] = &mut self.dimensions[..] {
            *length = values.len() as u32;
        }
    }

    fn tensor(&self) -> (String, Tensor) {
        (self.name.clone(), Tensor::new(&self.dimensions, self.ty, &self.data))
    }
}

fn bytes(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A sequence of an inference: what the cache holds of it, its new tokens, its blocks.
#[derive(Clone)]
pub(crate) struct Sequence {
    pub(crate) past: i32,
    pub(crate) tokens: Vec<i32>,
    pub(crate) blocks: Vec<i32>,
}

/// The eight inputs of a decoder, in the order of [`NAMES`].
#[derive(Clone)]
pub(crate) struct Inputs(pub(crate) Vec<Input>);

/// Their names.
pub(crate) const NAMES: [&str; 8] = [
    "input_ids",
    "position_ids",
    "past_lens",
    "subsequence_begins",
    "block_indices",
    "block_indices_begins",
    "max_context_len",
    "logit_idx",
];

impl Inputs {
    /// A right step over one sequence of `count` tokens that begins in block 0.
    pub(crate) fn first(model: &Model, count: usize) -> Self {
        let blocks = (0..count.div_ceil(model.block_size as usize) as i32).collect();
        Self::step(&[Sequence { past: 0, tokens: vec![0; count], blocks }])
    }

    /// A right step over these sequences, which wants the logits of each one's last token.
    pub(crate) fn step(sequences: &[Sequence]) -> Self {
        let mut values: [Vec<i32>; 8] = Default::default();
        let [ids, positions, pasts, begins, blocks, block_begins, longest, logit_idx] = &mut values;
        (*begins, *block_begins, *longest) = (vec![0], vec![0], vec![0]);
        for sequence in sequences {
            let length = sequence.past + sequence.tokens.len() as i32;
            ids.extend(&sequence.tokens);
            positions.extend(sequence.past..length);
            pasts.push(sequence.past);
            begins.push(ids.len() as i32);
            blocks.extend(&sequence.blocks);
            block_begins.push(blocks.len() as i32);
            longest[0] = longest[0].max(length);
            logit_idx.push(ids.len() as i32 - 1);
        }
        let mut inputs: Vec<Input> = NAMES.iter().zip(&values).map(|(name, values)| Input::new(name, values)).collect();
        // One number has no dimensions.
        inputs[6].dimensions.clear();
        Self(inputs)
    }

    /// The input of this name.
    pub(crate) fn named(&mut self, name: &str) -> &mut Input {
        let index = NAMES.iter().position(|known| *known == name).unwrap_or_default();
        &mut self.0[index]
    }

    /// The same with other numbers in one input.
    pub(crate) fn with(mut self, name: &str, values: &[i32]) -> Self {
        self.named(name).set(values);
        self
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
        Ok(outputs) => {
            let bytes: Vec<u8> = outputs.iter().flat_map(|(_, tensor)| tensor.data()).collect();
            // The logits themselves, so that a test sees whether anything else shows in them
            // (FNV-1a).
            let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
            format!("served {} bytes, {:016x}", bytes.len(), bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold))
        }
        Err(error) => format!("{:?}: {}", error.code(), error.data()),
    }
}
