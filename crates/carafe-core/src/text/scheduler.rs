//! Continuous batching: which sequences share the next inference, and how many tokens each
//! computes.
//!
//! An iteration has one token for every sequence that decodes, and beside them chunks of prompts. A
//! prompt is cut where its position is a multiple of the model's `prefill_chunk`, whatever else
//! runs, so that how a prompt is cut does not depend on load. While any sequence decodes, a step
//! takes no more prompt tokens than one chunk: that bounds the inter-token latency. Where prompts
//! queue, up to three steps for them alone go before each step in which sequences decode: else an
//! overloaded server lets first tokens wait for as long as all others write. While no sequence
//! decodes, a step takes as many chunks, each of another sequence, as `max_num_batched_tokens`
//! allows. (Yu et al., "Orca", 2022; Agrawal et al., "Sarathi-Serve", 2024.)
//!
//! Waiting sequences are let in by arrival, as soon as the blocks that they can come to need are
//! free (`kv_cache`). One that begins like a sequence whose prompt is being computed waits until it
//! can share those blocks, and others may pass it meanwhile.
//!
//! After a failed inference nobody knows which of its sequences was at fault. All of them are
//! computed anew, and each runs isolated, in inferences of its own, so that the one at fault fails
//! alone.
//!
//! The scheduler decides; `model_inputs` assembles the tensors, `output_processor` makes tokens of
//! the logits.

use std::collections::VecDeque;

use super::{
    kv_cache::{BlockTable, KvCache},
    model::TextModel,
    sequence::Sequence,
};

/// The widest step in which draft tokens are computed: one so narrow costs little more than one
/// token, since it reads all weights anyway.
const MAX_DRAFT_STEP: usize = 8;

/// Steps for prompts alone between two tokens of a sequence that decodes. More would help the first
/// tokens of an overloaded server little (`examples/schedule`), and hold up the others longer.
const MAX_PREFILL_STEPS: usize = 3;

/// What the next inference computes.
#[derive(Debug, Default)]
pub(super) struct SchedulerOutput {
    /// Never empty, in the order of [`Scheduler::running`].
    pub(super) rows: Vec<ScheduledRow>,
}

/// What an inference computes of one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScheduledRow {
    /// The sequence, as an index into [`Scheduler::running`].
    pub(super) index: usize,
    /// How many of its pending tokens.
    pub(super) num_tokens: usize,
    /// Draft tokens after these.
    pub(super) draft_tokens: Vec<u32>,
    /// How many logits are wanted, those of its last tokens in this step.
    pub(super) num_logits: usize,
}

impl ScheduledRow {
    /// Tokens that are computed, drafts included.
    pub(super) fn width(&self) -> usize {
        self.num_tokens + self.draft_tokens.len()
    }
}

/// A sequence with its blocks.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) sequence: Sequence,
    pub(super) blocks: BlockTable,
    /// The iteration in which it was scheduled last.
    last_scheduled: u64,
}

/// All sequences of a generator and the blocks of its KV cache.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub(super) waiting: VecDeque<Sequence>,
    /// In the order in which they were let in.
    pub(super) running: Vec<Running>,
    cache: KvCache,
    iteration: u64,
    /// Steps for prompts alone since sequences decoded last.
    num_prefill_steps: usize,
}

impl Scheduler {
    /// A scheduler over an empty cache.
    pub(super) fn new(model: &TextModel) -> Self {
        let cache = KvCache::new(model.num_blocks, model.block_size);
        Self { waiting: VecDeque::new(), running: Vec::new(), cache, iteration: 0, num_prefill_steps: 0 }
    }

    /// How many sequences wait or run.
    pub(super) fn num_sequences(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// Blocks that hold tokens of running sequences.
    pub(super) fn num_used_blocks(&self) -> usize {
        self.cache.num_used()
    }

    /// Lets the next waiting sequence in that may run now, and says how many of its tokens the
    /// cache holds already. Call until there is none.
    pub(super) fn admit(&mut self, model: &TextModel) -> Option<(&mut Sequence, usize)> {
        if self.running.len() >= model.max_num_seqs.min(model.max_num_logits) as usize {
            return None;
        }
        let index = self.waiting.iter().position(|sequence| !self.waits_for_prefix(sequence))?;
        let sequence = &self.waiting[index];
        let prefix = if sequence.may_share() { self.cache.find_prefix(sequence.tokens()) } else { Vec::new() };
        // By arrival: a sequence that finds no room keeps those behind it waiting.
        let blocks = self.cache.open(&prefix, sequence.max_num_computed_tokens())?;
        let mut sequence = self.waiting.remove(index)?;
        let num_cached_tokens = prefix.len() * self.cache.block_size();
        sequence.advance(num_cached_tokens);
        self.running.push(Running { sequence, blocks, last_scheduled: self.iteration });
        self.running.last_mut().map(|running| (&mut running.sequence, num_cached_tokens))
    }

    /// Whether a running sequence is computing a block that this one begins with too.
    fn waits_for_prefix(&self, sequence: &Sequence) -> bool {
        let size = self.cache.block_size();
        let comes = |other: &Running| {
            other.sequence.is_prefilling() && other.sequence.may_share() && {
                let common = sequence.num_common_tokens(&other.sequence) / size;
                common > other.sequence.num_computed_tokens() / size
            }
        };
        sequence.may_share() && self.running.iter().any(comes)
    }

    /// Decides on the next inference, and gives its rows their blocks. None while nothing runs.
    pub(super) fn schedule(&mut self, model: &TextModel) -> Option<SchedulerOutput> {
        self.iteration += 1;
        let group = self.next_group()?;
        let mut rows = if self.prompts_go_first(&group) { Vec::new() } else { self.decode_rows(&group, model) };
        self.add_prefill_rows(&group, model, &mut rows);
        self.add_draft_tokens(model, &mut rows);
        rows.sort_by_key(|row| row.index);
        for row in &rows {
            let running = &mut self.running[row.index];
            running.last_scheduled = self.iteration;
            let num_tokens = running.sequence.num_computed_tokens() + row.width();
            self.cache.extend(&mut running.blocks, num_tokens);
        }
        Some(SchedulerOutput { rows })
    }

    /// The sequences that may share the next inference: one that runs isolated, or all that do not,
    /// in turn.
    fn next_group(&self) -> Option<Vec<usize>> {
        let is_isolated = |index: &usize| self.running[*index].sequence.is_isolated();
        let (isolated, together): (Vec<usize>, Vec<usize>) = (0..self.running.len()).partition(is_isolated);
        let groups = isolated.into_iter().map(|index| vec![index]).chain([together]);
        let turn = |group: &Vec<usize>| group.iter().map(|&index| self.running[index].last_scheduled).max();
        groups.filter(|group| !group.is_empty()).min_by_key(turn)
    }

    /// Whether the next step is for prompts alone: one such step for each prompt that waits behind
    /// another, at most [`MAX_PREFILL_STEPS`] in a row.
    fn prompts_go_first(&mut self, group: &[usize]) -> bool {
        let num_prefilling = group.iter().filter(|&&index| self.running[index].sequence.is_prefilling()).count();
        let most = num_prefilling.saturating_sub(1).min(MAX_PREFILL_STEPS);
        let goes_first = num_prefilling < group.len() && self.num_prefill_steps < most;
        self.num_prefill_steps = if goes_first { self.num_prefill_steps + 1 } else { 0 };
        goes_first
    }

    /// One token for every sequence that decodes.
    fn decode_rows(&self, group: &[usize], model: &TextModel) -> Vec<ScheduledRow> {
        let decoding = group.iter().filter(|&&index| !self.running[index].sequence.is_prefilling());
        let row = |&index: &usize| ScheduledRow { index, num_tokens: 1, draft_tokens: Vec::new(), num_logits: 1 };
        decoding.map(row).take(model.max_num_batched_tokens as usize).collect()
    }

    /// Chunks of prompts, by arrival, within the token budget.
    fn add_prefill_rows(&self, group: &[usize], model: &TextModel, rows: &mut Vec<ScheduledRow>) {
        let chunk = model.prefill_chunk as usize;
        let decodes = group.iter().any(|&index| !self.running[index].sequence.is_prefilling());
        let mut tokens = if decodes { chunk } else { model.max_num_batched_tokens as usize };
        let mut logits = model.max_num_logits as usize - rows.len();
        for &index in group {
            let sequence = &self.running[index].sequence;
            if !sequence.is_prefilling() || rows.len() == model.max_num_batched_tokens as usize {
                continue;
            }
            let row = prefill_row(index, sequence, chunk, logits);
            if row.num_tokens <= tokens && row.num_logits <= logits {
                tokens -= row.num_tokens;
                logits -= row.num_logits;
                rows.push(row);
            }
        }
    }

    /// Draft tokens for the sequences that decode, while the step stays narrow.
    fn add_draft_tokens(&mut self, model: &TextModel, rows: &mut [ScheduledRow]) {
        let width: usize = rows.iter().map(ScheduledRow::width).sum();
        let logits: usize = rows.iter().map(|row| row.num_logits).sum();
        let mut room = MAX_DRAFT_STEP.saturating_sub(width).min((model.max_num_logits as usize).saturating_sub(logits));
        let each = (MAX_DRAFT_STEP / rows.len().max(1)).saturating_sub(1).min(model.draft_tokens as usize);
        for row in rows {
            let sequence = &mut self.running[row.index].sequence;
            if sequence.num_pending_tokens() == 1 && row.num_logits == 1 && !sequence.is_prefilling() {
                row.draft_tokens = sequence.draft(each.min(room));
                row.num_logits += row.draft_tokens.len();
                room -= row.draft_tokens.len();
            }
        }
    }

    /// Notes that the tokens of the sequence at `index` up to `num_computed_tokens` have been
    /// computed, and offers what is full of them.
    pub(super) fn note_computed(&mut self, index: usize) {
        let Running { sequence, blocks, .. } = &mut self.running[index];
        if sequence.may_share() {
            self.cache.offer(blocks, &sequence.tokens()[..sequence.num_computed_tokens()]);
        }
    }

    /// Ends the sequences at these indices of [`Scheduler::running`], which rise.
    pub(super) fn finish(&mut self, indices: &[usize]) {
        for &index in indices.iter().rev() {
            let running = self.running.remove(index);
            self.cache.close(&running.blocks);
        }
    }

    /// Takes a sequence out, wherever it is. False if it is not there (any more).
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        if let Some(index) = self.running.iter().position(|running| running.sequence.id == id) {
            self.finish(&[index]);
            return true;
        }
        let before = self.waiting.len();
        self.waiting.retain(|sequence| sequence.id != id);
        self.waiting.len() < before
    }

    /// Begins anew after an inference with these rows failed: all blocks are lost, and every
    /// running sequence waits again, at the head. A sequence that ran in it by itself is at fault
    /// and is returned; several run isolated from now on.
    pub(super) fn recover(&mut self, rows: &[ScheduledRow], model: &TextModel) -> Option<Sequence> {
        self.cache = KvCache::new(model.num_blocks, model.block_size);
        let at_fault = if let [row] = rows { Some(row.index) } else { None };
        let mut failed = None;
        for (index, Running { mut sequence, .. }) in self.running.drain(..).enumerate().rev() {
            if at_fault == Some(index) {
                failed = Some(sequence);
                continue;
            }
            sequence.recompute(rows.iter().any(|row| row.index == index));
            self.waiting.push_front(sequence);
        }
        failed
    }

    /// Gives up all sequences that run, since the cache could not be made.
    pub(super) fn abandon(&mut self, model: &TextModel) -> Vec<Sequence> {
        self.cache = KvCache::new(model.num_blocks, model.block_size);
        self.running.drain(..).map(|running| running.sequence).collect()
    }
}

/// The next chunk of a prompt: as far as the next multiple of `chunk`, and where it is scored no
/// further than logits reach.
fn prefill_row(index: usize, sequence: &Sequence, chunk: usize, logits: usize) -> ScheduledRow {
    let pending = sequence.num_pending_tokens();
    let to_the_cut = chunk - sequence.num_computed_tokens() % chunk;
    let num_tokens = pending.min(to_the_cut);
    let draft_tokens = Vec::new();
    if sequence.scores_prompt() {
        let num_tokens = num_tokens.min(logits.max(1));
        return ScheduledRow { index, num_tokens, draft_tokens, num_logits: num_tokens };
    }
    let num_logits = usize::from(num_tokens == pending);
    ScheduledRow { index, num_tokens, draft_tokens, num_logits }
}
