//! The border to the model: the inputs of one inference in, logits out.
//!
//! A model is a decoder whose KV cache lies in blocks (`carafe-tensor` lists its ports). A step is
//! a list of inputs, each a role, dimensions and values; the runner loops over the list and
//! knows no input by name. A worked example, blocks of 4 tokens: sequence `a` has computed 5 tokens
//! and decodes token 14, sequence `b` begins with the prompt `[21, 22, 23]`:
//!
//! | input | values | |
//! |---|---|---|
//! | `input_ids` | `[14, 21, 22, 23]` | T = 4 |
//! | `position_ids` | `[5, 0, 1, 2]` | |
//! | `past_lens` | `[5, 0]` | B = 2 |
//! | `subsequence_begins` | `[0, 1, 4]` | |
//! | `block_indices` | `[7, 2, 3]` | `a` has blocks 7 and 2, `b` block 3 |
//! | `block_indices_begins` | `[0, 2, 3]` | |
//! | `max_context_len` | `6` | `a`, with its new token |
//! | `logit_idx` | `[0, 3]` | the last token of each: N = 2 |

use std::mem;

use carafe_tensor::Role;

/// A model that can be run step by step. It has two implementations: over wasi-nn in the guest, and
/// natively over OpenVINO.
pub trait ModelRunner {
    /// Makes the KV cache a fresh one, of which nothing has been computed. Called before the first
    /// inference and after one that failed.
    fn reset(&mut self) -> Result<(), RunError>;

    /// Runs one inference and replaces `logits` by `[N, V]` values, row by row: one row of
    /// vocabulary size V for each entry of `logit_idx`. After an error the cache must be reset.
    fn run(&mut self, inputs: &[ModelInput], logits: &mut Logits) -> Result<(), RunError>;
}

/// One input of an inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInput {
    /// What it means; its name is the role's.
    pub role: Role,
    /// Its dimensions, outermost first; none for a single number.
    pub dims: Vec<u32>,
    /// Its values, row by row.
    pub values: Vec<i32>,
}

/// The logits of a step, `[N, V]` f32 row by row, in the form in which the model answered them.
///
/// They are the largest thing that crosses into a guest, 200 KB a row for GPT-2, so they are
/// changed where they lie and not copied again.
#[derive(Debug)]
pub enum Logits {
    /// Numbers.
    Values(Vec<f32>),
    /// Their little-endian bytes.
    Bytes(Vec<u8>),
}

impl Default for Logits {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl Logits {
    /// Replaces them by the numbers that `fill` adds to an empty vector, whose memory is that of
    /// numbers that were there.
    pub fn refill(&mut self, fill: impl FnOnce(&mut Vec<f32>)) {
        let mut values = if let Self::Values(values) = mem::take(self) { values } else { Vec::new() };
        values.clear();
        fill(&mut values);
        *self = Self::Values(values);
    }

    /// The logits as numbers that can be changed. Bytes are numbers already where they lie as
    /// numbers must; elsewhere they are copied.
    pub fn values(&mut self) -> &mut [f32] {
        if let Self::Bytes(bytes) = self
            && (cfg!(target_endian = "big") || bytemuck::try_cast_slice_mut::<u8, f32>(bytes).is_err())
        {
            *self = Self::Values(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        }
        match self {
            Self::Values(values) => values,
            Self::Bytes(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }
}

/// Why the cache could not be reset or an inference not be run; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What happened, in the words of the runner.
    pub message: String,
}

impl RunError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
