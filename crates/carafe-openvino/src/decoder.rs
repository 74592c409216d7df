//! A decoder's KV cache in blocks: what the inputs of one inference must be, and which blocks were
//! written.
//!
//! OpenVINO's PagedAttention keeps the keys and values of `block_size` tokens in a block, and a
//! sequence's blocks may lie anywhere. One inference takes T tokens of B sequences, all of them
//! flat (the paper: Kwon et al., "Efficient Memory Management for Large Language Model Serving with
//! PagedAttention", 2023):
//!
//! ```text
//! input_ids [T], position_ids [T]                    the tokens that are computed
//! past_lens [B]                                      tokens of each sequence that the cache holds already
//! subsequence_begins [B+1]                           where each sequence's tokens begin in T; the last is T
//! block_indices [K], block_indices_begins [B+1]      each sequence's blocks, past and new, and where they begin in K
//! max_context_len []                                 the largest past + new of any sequence
//! logit_idx [N]                                      the tokens, counted in T, whose logits are wanted
//! ```
//!
//! The kernels trust all of it: a wrong block reads or writes another sequence's memory, or
//! nobody's. [`check_inputs`] is the one place that owns the rules; it is pure, and knows of the
//! cache only which of its blocks were written, and how far.

mod layout;
mod rules;

pub use layout::CacheLayout;
pub use rules::{CheckedInputs, check_inputs};

use carafe_tensor::Role;

use crate::error::Error;
use crate::kind::{DecoderSpec, TensorSpec};
use crate::tensor::TensorView;

/// The inputs of one inference, each as little-endian i32 at any alignment; nothing is known of
/// them yet.
#[derive(Clone, Copy, Debug)]
pub struct DecoderInputs<'a> {
    /// `[T]`
    pub input_ids: &'a [[u8; 4]],
    /// `[T]`
    pub position_ids: &'a [[u8; 4]],
    /// `[B]`
    pub past_lens: &'a [[u8; 4]],
    /// `[B+1]`
    pub subsequence_begins: &'a [[u8; 4]],
    /// `[K]`
    pub block_indices: &'a [[u8; 4]],
    /// `[B+1]`
    pub block_indices_begins: &'a [[u8; 4]],
    /// One number.
    pub max_context_len: [u8; 4],
    /// `[N]`
    pub logit_idx: &'a [[u8; 4]],
}

impl<'a> DecoderInputs<'a> {
    /// The inputs of tensors that have passed [`check`](crate::check()), in the order of the
    /// graph's inputs.
    pub(crate) fn of(inputs: &[TensorSpec], tensors: &[TensorView<'a>]) -> Result<Self, Error> {
        let values = |role: Role| {
            let tensor = inputs.iter().zip(tensors).find(|(input, _)| input.role == role).map(|(_, tensor)| tensor);
            let missing = || Error::MissingInput { tensor: role.to_string() };
            tensor.map(|tensor| tensor.data.as_chunks::<4>().0).ok_or_else(missing)
        };
        let max_context_len = values(Role::MaxContextLen)?.first().copied();
        Ok(Self {
            input_ids: values(Role::InputIds)?,
            position_ids: values(Role::PositionIds)?,
            past_lens: values(Role::PastLens)?,
            subsequence_begins: values(Role::SubsequenceBegins)?,
            block_indices: values(Role::BlockIndices)?,
            block_indices_begins: values(Role::BlockIndicesBegins)?,
            max_context_len: max_context_len
                .ok_or_else(|| Error::MissingInput { tensor: Role::MaxContextLen.to_string() })?,
            logit_idx: values(Role::LogitIdx)?,
        })
    }
}

/// What one inference may ask for, and what its indices index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderBounds {
    /// The decoder's sizes.
    pub spec: DecoderSpec,
    /// Tokens of a block.
    pub block_size: u32,
}

/// How many tokens of each block were written in this context: what may be read.
///
/// A new context has none written. What is written stays readable until the context ends, so that
/// draft tokens are rejected by a smaller past and a freed block by never naming it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBlocks(Vec<u32>);

impl WrittenBlocks {
    /// Blocks of a fresh cache.
    #[must_use]
    pub fn new(num_blocks: u32) -> Self {
        Self(vec![0; num_blocks as usize])
    }

    /// How many blocks there are.
    #[must_use]
    pub fn num_blocks(&self) -> usize {
        self.0.len()
    }

    /// Notes what an inference has written.
    pub fn apply(&mut self, checked: &CheckedInputs) {
        for &(block, written) in &checked.writes {
            if let Some(tokens) = self.0.get_mut(block as usize) {
                *tokens = written.max(*tokens);
            }
        }
    }
}
