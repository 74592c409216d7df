//! What the scheduler decides: the rows of the next inference.

use crate::text::sequence::Sequence;

/// What the next inference computes.
#[derive(Debug, Default)]
pub(in crate::text) struct SchedulerOutput {
    /// Never empty, in the order of `Scheduler::running`.
    pub(in crate::text) rows: Vec<ScheduledRow>,
}

/// What an inference computes of one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::text) struct ScheduledRow {
    /// The sequence, as an index into `Scheduler::running`.
    pub(in crate::text) index: usize,
    /// How many of its pending tokens.
    pub(in crate::text) num_tokens: usize,
    /// Draft tokens after these.
    pub(in crate::text) draft_tokens: Vec<u32>,
    /// How many logits are wanted, those of its last tokens in this step.
    pub(in crate::text) num_logits: usize,
}

impl ScheduledRow {
    /// One token of a sequence that decodes.
    pub(super) fn decode(index: usize) -> Self {
        Self { index, num_tokens: 1, draft_tokens: Vec::new(), num_logits: 1 }
    }

    /// The next chunk of a prompt: as far as the next multiple of `chunk`, and where it is scored
    /// no further than logits reach.
    pub(super) fn prefill(index: usize, sequence: &Sequence, chunk: usize, logits: usize) -> Self {
        let pending = sequence.num_pending_tokens();
        let to_the_cut = chunk - sequence.num_computed_tokens() % chunk;
        let num_tokens = pending.min(to_the_cut);
        let draft_tokens = Vec::new();
        if sequence.scores_prompt() {
            let num_tokens = num_tokens.min(logits.max(1));
            return Self { index, num_tokens, draft_tokens, num_logits: num_tokens };
        }
        let num_logits = usize::from(num_tokens == pending);
        Self { index, num_tokens, draft_tokens, num_logits }
    }

    /// Tokens that are computed, drafts included.
    pub(in crate::text) fn width(&self) -> usize {
        self.num_tokens + self.draft_tokens.len()
    }
}
