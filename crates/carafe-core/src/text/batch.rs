//! Builds the arrays of a step for one context: what is in its rows, and which of it each row may see.
//!
//! For now a context has one row with one sequence in it. The rule is already the general one: the row remembers which of its
//! positions are real, and every step appends to that (see [`super::Forward`] on the masked dummy position).

use super::forward::Step;

/// The row of a context and the arrays of its latest step.
#[derive(Debug)]
pub(super) struct Batch {
    input_ids: Vec<i32>,
    position_ids: Vec<i32>,
    /// `[1, P+S]`: grows with every step.
    attention_mask: Vec<i32>,
    beam_idx: [i32; 1],
    logit_idx: Vec<i32>,
}

impl Batch {
    /// The first step of a context: one position that stays hidden.
    pub(super) fn with_dummy() -> Self {
        Self { input_ids: vec![0], position_ids: vec![0], attention_mask: vec![0], beam_idx: [0], logit_idx: vec![0] }
    }

    /// Appends at least one token to the row, the first of them at `position`, and asks for the logits after each of them or after the
    /// last: a step that asks for none is no valid step, so a piece of a prompt has logits as well, which nobody may read.
    pub(super) fn append(&mut self, tokens: &[u32], position: usize, wants_all: bool) {
        self.input_ids.clear();
        self.input_ids.extend(tokens.iter().map(|token| token.cast_signed()));
        self.position_ids.clear();
        self.position_ids.extend((position..position + tokens.len()).map(|place| place as i32));
        self.attention_mask.extend(tokens.iter().map(|_| 1));
        let last = tokens.len() as i32 - 1;
        self.logit_idx.clear();
        self.logit_idx.extend(if wants_all { 0..=last } else { last..=last });
    }

    /// The step to run.
    pub(super) fn step(&self) -> Step<'_> {
        Step {
            rows: 1,
            length: self.input_ids.len(),
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            attention_mask: &self.attention_mask,
            beam_idx: &self.beam_idx,
            logit_idx: &self.logit_idx,
        }
    }
}
