//! Whose turn it is: which of the running sequences the next inference is for.
//!
//! Where prompts queue, up to three steps for them alone go before each step in which sequences
//! decode: else an overloaded server lets first tokens wait for as long as all others write.
//!
//! While several tenants decode, none has more rows in a step than the tenant in the middle has,
//! its sequences in turn, unless the step is narrow: else one that floods the server would make
//! every step of the others as slow as its own number of sequences does.

use std::collections::BTreeMap;

use super::{NARROW_STEP, Scheduler};

/// Steps for prompts alone between two tokens of a sequence that decodes. More would help the first
/// tokens of an overloaded server little (`examples/schedule`), and hold up the others longer.
const MAX_PREFILL_STEPS: usize = 3;

/// Sequences that may share an inference, as indices into `Scheduler::running`.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) prefilling: Vec<usize>,
    pub(super) decoding: Vec<usize>,
}

impl Scheduler {
    /// The sequences that may share the next inference: one that runs isolated, or all that do not,
    /// in turn.
    pub(super) fn next_group(&self) -> Option<Group> {
        let is_isolated = |index: &usize| self.running[*index].sequence.is_isolated();
        let (isolated, together): (Vec<usize>, Vec<usize>) = (0..self.running.len()).partition(is_isolated);
        let groups = isolated.into_iter().map(|index| vec![index]).chain([together]);
        let turn = |group: &Vec<usize>| group.iter().map(|&index| self.running[index].last_scheduled).max();
        let next = groups.filter(|group| !group.is_empty()).min_by_key(turn)?;
        let (prefilling, decoding) = next.into_iter().partition(|&index| self.running[index].sequence.is_prefilling());
        Some(Group { prefilling, decoding })
    }

    /// Whether the next step is for prompts alone: one such step for each prompt that waits behind
    /// another, at most [`MAX_PREFILL_STEPS`] in a row. A tenant's prompts do not go before others
    /// who decode and have had less.
    pub(super) fn prompts_go_first(&self, group: &Group) -> bool {
        let tenant = |index: &usize| self.running[*index].sequence.tenant();
        let has_its_turn = |index: &&usize| {
            let own = tenant(index);
            let others = group.decoding.iter().map(tenant).filter(|other| *other != own);
            let most = others.map(|other| self.tenants.num_tokens(other)).max();
            most.is_none_or(|most| self.tenants.num_tokens(own) <= most)
        };
        let num_prompts = group.prefilling.iter().filter(has_its_turn).count();
        self.num_prefill_steps < num_prompts.saturating_sub(1).min(MAX_PREFILL_STEPS)
    }

    /// Of sequences that decode, those that take part in the next step: all of a tenant that has
    /// few, and of one that has many those that were not scheduled for longest.
    pub(super) fn fair_share(&self, decoding: &[usize]) -> Vec<usize> {
        let mut counts = BTreeMap::<u64, usize>::new();
        for &index in decoding {
            *counts.entry(self.running[index].sequence.tenant()).or_default() += 1;
        }
        let limit = rows_of_a_tenant(counts.into_values().collect());
        let mut by_turn = decoding.to_vec();
        by_turn.sort_by_key(|&index| self.running[index].last_scheduled);
        let mut taken = BTreeMap::<u64, usize>::new();
        by_turn.retain(|&index| {
            let taken = taken.entry(self.running[index].sequence.tenant()).or_default();
            *taken += 1;
            *taken <= limit
        });
        by_turn
    }
}

/// The most rows of one tenant in a step, where `counts` are each tenant's sequences that decode:
/// the count of the tenant in the middle (of two, the smaller), or more until a narrow step is
/// full.
fn rows_of_a_tenant(mut counts: Vec<usize>) -> usize {
    counts.sort_unstable();
    let middle = counts.get(counts.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let width = |limit: usize| counts.iter().map(|&count| count.min(limit)).sum::<usize>();
    let most = counts.last().copied().unwrap_or_default();
    (middle..most).find(|&limit| width(limit) >= NARROW_STEP).unwrap_or(most)
}
