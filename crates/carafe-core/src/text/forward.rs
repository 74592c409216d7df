//! The border to the model: one step over token positions in, logits out.
//!
//! A model is a graph with a cache of keys and values. A [`Forward::Context`] is one such cache with B rows of P positions each; a
//! [`Step`] appends S positions to every row. Rows and positions are rectangular; what a row really consists of is said by its mask.
//!
//! # The masked dummy position
//! The first step on an empty context takes another path through attention than all later steps, and rounds differently. So every
//! context starts with one position that its mask hides for ever ([`Step`] over token 0, position 0, mask 0). From then on a
//! sequence's logits are the same however its prompt is cut: to the bit in profile `fast` where that resolves to bfloat16, to about
//! 2e-5 in `exact`. A worked example, the prompt
//! `[11, 12, 13]` cut into 2 + 1, followed by the sampled token 14:
//!
//! | step | input_ids | position_ids | attention_mask (P+S wide) | logit_idx |
//! |---|---|---|---|---|
//! | dummy | `[0]` | `[0]` | `[0]` | `[0]`, dropped |
//! | prompt | `[11, 12]` | `[0, 1]` | `[0, 1, 1]` | `[1]`, dropped |
//! | prompt | `[13]` | `[2]` | `[0, 1, 1, 1]` | `[0]`, gives token 14 |
//! | token | `[14]` | `[3]` | `[0, 1, 1, 1, 1]` | `[0]`, gives the next |
//!
//! The dummy counts in P and so in the mask's width, but not in the positions: the first real token is at position 0.

use std::mem;

/// A model that can be run step by step. It has two implementations: over wasi-nn in the guest, and natively over OpenVINO.
pub trait Forward {
    /// The cache of one batch of sequences; dropping it frees what it holds.
    type Context;

    /// Opens an empty context (P = 0).
    fn open_context(&mut self) -> Result<Self::Context, ForwardError>;

    /// Appends the step to the context and replaces `logits` by `[N, V]` values, row by row: one row of vocabulary size V for each
    /// entry of `logit_idx`. After an error the context must not be used again.
    fn forward(
        &mut self,
        context: &mut Self::Context,
        step: &Step<'_>,
        logits: &mut Logits,
    ) -> Result<(), ForwardError>;
}

/// The logits of a step, `[N, V]` f32 row by row, in the form in which the model answered them.
///
/// They are the largest thing that crosses into a guest, 200 KB a row for GPT-2, so they are changed where they lie and not copied again.
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
    /// Replaces them by the numbers that `fill` adds to an empty vector, whose memory is that of numbers that were there.
    pub fn refill(&mut self, fill: impl FnOnce(&mut Vec<f32>)) {
        let mut values = if let Self::Values(values) = mem::take(self) { values } else { Vec::new() };
        values.clear();
        fill(&mut values);
        *self = Self::Values(values);
    }

    /// The logits as numbers that can be changed. Bytes are numbers already where they lie as numbers must; elsewhere they are copied.
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

/// The inputs of one step over B rows of S new positions, on a context that holds P positions a row. All arrays are row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// B, the rows of this step.
    pub rows: usize,
    /// S, the new positions of each row.
    pub length: usize,
    /// `[B, S]`: the new tokens.
    pub input_ids: &'a [i32],
    /// `[B, S]`: where each new token stands in its sequence, from 0.
    pub position_ids: &'a [i32],
    /// `[B, P+S]`: 1 where a position belongs to the row's sequence, 0 where it is hidden.
    pub attention_mask: &'a [i32],
    /// `[B]`: which row of the step before each row continues; in 0..B on the first step of a context.
    pub beam_idx: &'a [i32],
    /// `[N]`: the positions, in 0..B*S of this step, whose logits are wanted; at least one.
    pub logit_idx: &'a [i32],
}

/// Why a context could not be opened or a step not be run; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ForwardError {
    /// What happened, in the words of whoever ran the model.
    pub message: String,
}

impl ForwardError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
