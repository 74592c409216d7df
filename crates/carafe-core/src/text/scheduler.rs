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
//! Waiting sequences are let in by turn (`tenants`), as soon as there are blocks for the tokens that
//! they have. One that begins like a sequence whose prompt is being computed waits until it can
//! share those blocks (`kv_cache`), and others may pass it meanwhile.
//!
//! How long a sequence becomes, nobody knows beforehand. Where blocks run out, the sequence that
//! arrived last gives its own back and waits again (preemption). It is computed anew later, but for
//! those of its blocks that are still found then. The one that arrived first never gives way, and
//! the cache has room for any one sequence, so all come to their end.
//!
//! While several tenants decode, a tenant that has more sequences than any other has no more rows in
//! a step than the next, its sequences in turn, unless the step is narrow: else one that floods the
//! server would make every step of the others as slow as its own number of sequences does.
//!
//! After a failed inference nobody knows which of its sequences was at fault. All of them are
//! computed anew, and each runs isolated, in inferences of its own, so that the one at fault fails
//! alone.
//!
//! The scheduler decides; `model_inputs` assembles the tensors, `output_processor` makes tokens of
//! the logits.

use std::collections::BTreeMap;

use super::{
    kv_cache::{BlockTable, KvCache, Prefix},
    model::TextModel,
    sequence::Sequence,
    tenants::Tenants,
};

/// A step so narrow costs little more than one token, since it reads all weights anyway: draft
/// tokens are computed in no wider one, and no tenant's rows are fewer than fill it.
const NARROW_STEP: usize = 8;

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

/// Sequences that may share an inference, as indices into [`Scheduler::running`].
#[derive(Debug, Default)]
struct Group {
    prefilling: Vec<usize>,
    decoding: Vec<usize>,
}

/// What a scheduler has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Tokens of prompts that were looked up in the prefix cache.
    pub(super) prefix_cache_queries: u64,
    /// Those of them that were found.
    pub(super) prefix_cache_hits: u64,
    /// Sequences that gave their blocks back and waited again.
    pub(super) preemptions: u64,
}

/// All sequences of a generator and the blocks of its KV cache.
#[derive(Debug)]
pub(super) struct Scheduler {
    tenants: Tenants,
    /// In the order in which they were let in.
    pub(super) running: Vec<Running>,
    cache: KvCache,
    iteration: u64,
    /// Steps for prompts alone since sequences decoded last.
    num_prefill_steps: usize,
    counters: Counters,
}

impl Scheduler {
    /// A scheduler over an empty cache.
    pub(super) fn new(model: &TextModel) -> Self {
        Self {
            tenants: Tenants::default(),
            running: Vec::new(),
            cache: KvCache::new(model.num_blocks, model.block_size),
            iteration: 0,
            num_prefill_steps: 0,
            counters: Counters::default(),
        }
    }

    /// How many sequences wait.
    pub(super) fn num_waiting(&self) -> usize {
        self.tenants.num_waiting()
    }

    /// What was counted so far.
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Blocks that hold tokens of running sequences.
    pub(super) fn num_used_blocks(&self) -> usize {
        self.cache.num_used()
    }

    /// Blocks that hold tokens for sequences to come.
    pub(super) fn num_cached_blocks(&self) -> usize {
        self.cache.num_cached()
    }

    /// Lets a new sequence wait, whose id is above those of all before.
    pub(super) fn enqueue(&mut self, sequence: Sequence) {
        self.tenants.enter(sequence);
    }

    /// Lets the next waiting sequence in that may run now. Call until there is none.
    pub(super) fn admit(&mut self, model: &TextModel) -> Option<&mut Sequence> {
        if self.running.len() >= model.max_num_seqs.min(model.max_num_logits) as usize {
            return None;
        }
        let sequence = self.tenants.next(|sequence| !self.waits_for_prefix(sequence, model))?;
        let (id, tokens, salt) = (sequence.id, sequence.tokens(), sequence.prefix_salt(model));
        let prefix = salt.map_or_else(|| Prefix::empty(0), |salt| self.cache.find_prefix(salt, tokens));
        let num_cached_tokens = prefix.num_blocks() * self.cache.block_size();
        // Whoever finds no room keeps those behind it waiting. A block for each that runs, so that
        // the next tokens do not take away again what has just been given.
        let blocks = self.cache.open(prefix, tokens.len(), self.running.len())?;
        let mut sequence = self.tenants.take(id)?;
        if salt.is_some() && !sequence.is_started() {
            self.counters.prefix_cache_queries += sequence.tokens().len() as u64;
            self.counters.prefix_cache_hits += num_cached_tokens as u64;
        }
        sequence.find_computed(num_cached_tokens);
        self.running.push(Running { sequence, blocks, last_scheduled: self.iteration });
        self.running.last_mut().map(|running| &mut running.sequence)
    }

    /// Whether a running sequence is computing a block that this one begins with too.
    fn waits_for_prefix(&self, sequence: &Sequence, model: &TextModel) -> bool {
        let Some(salt) = sequence.prefix_salt(model) else { return false };
        let size = self.cache.block_size();
        let comes = |Running { sequence: other, .. }: &Running| {
            other.is_prefilling()
                && other.prefix_salt(model) == Some(salt)
                && sequence.num_common_tokens(other) / size > other.num_computed_tokens() / size
        };
        self.running.iter().any(comes)
    }

    /// Decides on the next inference, and gives its rows their blocks. None while nothing can run.
    pub(super) fn schedule(&mut self, model: &TextModel) -> Option<SchedulerOutput> {
        self.iteration += 1;
        let (group, mut rows) = self.rows_with_room(model)?;
        if self.prompts_go_first(&group) {
            rows.clear();
        }
        self.add_prefill_rows(group, model, &mut rows);
        self.add_draft_tokens(model, &mut rows);
        rows.sort_by_key(|row| row.index);
        for row in &rows {
            let running = &mut self.running[row.index];
            running.last_scheduled = self.iteration;
            let num_tokens = running.sequence.num_computed_tokens() + row.width();
            self.cache.extend(&mut running.blocks, num_tokens);
            self.tenants.serve(running.sequence.tenant(), row.num_tokens);
        }
        Some(SchedulerOutput { rows })
    }

    /// The sequences that may share the next inference, and a row for each of them that decodes.
    /// There is room for these; sequences have given way where there was none.
    fn rows_with_room(&mut self, model: &TextModel) -> Option<(Group, Vec<ScheduledRow>)> {
        loop {
            let group = self.next_group()?;
            let rows = self.decode_rows(&group.decoding, model);
            if self.cache.has_room(rows.iter().map(|row| self.num_missing_blocks(row)).sum()) {
                return Some((group, rows));
            }
            self.preempt();
        }
    }

    /// How many blocks a row's sequence lacks for it.
    fn num_missing_blocks(&self, row: &ScheduledRow) -> usize {
        let Running { sequence, blocks, .. } = &self.running[row.index];
        self.cache.num_missing(blocks, sequence.num_computed_tokens() + row.width())
    }

    /// Lets the running sequence that arrived last wait again, and takes its blocks back.
    fn preempt(&mut self) {
        let arrived = |(_, running): &(usize, &Running)| running.sequence.id;
        if let Some((index, _)) = self.running.iter().enumerate().max_by_key(arrived) {
            let Running { mut sequence, blocks, .. } = self.running.remove(index);
            self.cache.close(&blocks);
            sequence.recompute(false);
            self.tenants.wait(sequence);
            self.counters.preemptions += 1;
        }
    }

    /// The sequences that may share the next inference: one that runs isolated, or all that do not,
    /// in turn.
    fn next_group(&self) -> Option<Group> {
        let is_isolated = |index: &usize| self.running[*index].sequence.is_isolated();
        let (isolated, together): (Vec<usize>, Vec<usize>) = (0..self.running.len()).partition(is_isolated);
        let groups = isolated.into_iter().map(|index| vec![index]).chain([together]);
        let turn = |group: &Vec<usize>| group.iter().map(|&index| self.running[index].last_scheduled).max();
        let next = groups.filter(|group| !group.is_empty()).min_by_key(turn)?;
        let (prefilling, decoding) = next.into_iter().partition(|&index| self.running[index].sequence.is_prefilling());
        Some(Group { prefilling, decoding })
    }

    /// Whether the next step is for prompts alone: one such step for each prompt that waits behind
    /// another, at most [`MAX_PREFILL_STEPS`] in a row.
    fn prompts_go_first(&mut self, group: &Group) -> bool {
        let most = group.prefilling.len().saturating_sub(1).min(MAX_PREFILL_STEPS);
        let goes_first = !group.decoding.is_empty() && self.num_prefill_steps < most;
        self.num_prefill_steps = if goes_first { self.num_prefill_steps + 1 } else { 0 };
        goes_first
    }

    /// One token for every sequence that decodes and has its turn.
    fn decode_rows(&self, decoding: &[usize], model: &TextModel) -> Vec<ScheduledRow> {
        let row = |index| ScheduledRow { index, num_tokens: 1, draft_tokens: Vec::new(), num_logits: 1 };
        let fair = self.without_excess(decoding.to_vec());
        fair.into_iter().map(row).take(model.max_num_batched_tokens as usize).collect()
    }

    /// Leaves out sequences of the tenant that has more than any other, so that it has as many as
    /// the next one, or as many as fill a narrow step. Those that were scheduled last are left out.
    fn without_excess(&self, mut decoding: Vec<usize>) -> Vec<usize> {
        let tenant = |&index: &usize| self.running[index].sequence.tenant();
        let mut counts = BTreeMap::<u64, usize>::new();
        decoding.iter().for_each(|index| *counts.entry(tenant(index)).or_default() += 1);
        let Some((&greediest, &most)) = counts.iter().max_by_key(|(_, count)| **count) else { return decoding };
        let others = counts.iter().filter(|(tenant, _)| **tenant != greediest).map(|(_, count)| *count);
        let (Some(second), num_others) = (others.clone().max(), others.sum::<usize>()) else { return decoding };
        let fair = second.max(NARROW_STEP.saturating_sub(num_others));
        let mut excess: Vec<usize> = decoding.iter().copied().filter(|index| tenant(index) == greediest).collect();
        excess.sort_by_key(|&index| self.running[index].last_scheduled);
        excess.drain(..fair.min(most));
        decoding.retain(|index| !excess.contains(index));
        decoding
    }

    /// Chunks of prompts within the token budget, those of the least served tenant first, then by
    /// arrival.
    fn add_prefill_rows(&self, group: Group, model: &TextModel, rows: &mut Vec<ScheduledRow>) {
        let Group { mut prefilling, decoding } = group;
        let chunk = model.prefill_chunk as usize;
        prefilling.sort_by_key(|&index| self.tenants.num_served(self.running[index].sequence.tenant()));
        let mut tokens = if decoding.is_empty() { model.max_num_batched_tokens as usize } else { chunk };
        let mut logits = model.max_num_logits as usize - rows.len();
        for index in prefilling {
            if rows.len() == model.max_num_batched_tokens as usize {
                return;
            }
            let row = prefill_row(index, &self.running[index].sequence, chunk, logits);
            if row.num_tokens <= tokens && row.num_logits <= logits {
                tokens -= row.num_tokens;
                logits -= row.num_logits;
                rows.push(row);
            }
        }
    }

    /// Draft tokens for the sequences that decode, while the step stays narrow. No sequence gives
    /// way to a guess.
    fn add_draft_tokens(&mut self, model: &TextModel, rows: &mut [ScheduledRow]) {
        let width: usize = rows.iter().map(ScheduledRow::width).sum();
        let logits: usize = rows.iter().map(|row| row.num_logits).sum();
        let mut room = NARROW_STEP.saturating_sub(width).min((model.max_num_logits as usize).saturating_sub(logits));
        let each = (NARROW_STEP / rows.len().max(1)).saturating_sub(1).min(model.draft_tokens as usize);
        // A block for each row's own token, and one for its draft tokens.
        if !self.cache.has_room(2 * rows.len()) {
            return;
        }
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
    pub(super) fn note_computed(&mut self, index: usize, model: &TextModel) {
        let Running { sequence, blocks, .. } = &mut self.running[index];
        if sequence.prefix_salt(model).is_some() {
            self.cache.offer(blocks, &sequence.tokens()[..sequence.num_computed_tokens()]);
        }
    }

    /// Ends the sequences at these indices of [`Scheduler::running`], which rise.
    pub(super) fn finish(&mut self, indices: &[usize]) {
        for &index in indices.iter().rev() {
            let running = self.running.remove(index);
            self.cache.close(&running.blocks);
            self.tenants.leave(running.sequence.tenant());
        }
    }

    /// Takes a sequence out, wherever it is. False if it is not there (any more).
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        if let Some(index) = self.running.iter().position(|running| running.sequence.id == id) {
            self.finish(&[index]);
            return true;
        }
        let waiting = self.tenants.take(id);
        waiting.iter().for_each(|sequence| self.tenants.leave(sequence.tenant()));
        waiting.is_some()
    }

    /// Begins anew after an inference with these rows failed: all blocks are lost, and every
    /// running sequence waits again. A sequence that ran in it by itself is at fault and is
    /// returned; several run isolated from now on.
    pub(super) fn recover(&mut self, rows: &[ScheduledRow], model: &TextModel) -> Option<Sequence> {
        self.cache = KvCache::new(model.num_blocks, model.block_size);
        let at_fault = if let [row] = rows { Some(row.index) } else { None };
        let mut failed = None;
        for (index, Running { mut sequence, .. }) in self.running.drain(..).enumerate() {
            if at_fault == Some(index) {
                self.tenants.leave(sequence.tenant());
                failed = Some(sequence);
                continue;
            }
            sequence.recompute(rows.iter().any(|row| row.index == index));
            self.tenants.wait(sequence);
        }
        failed
    }

    /// Gives up all sequences that run, since the cache could not be made.
    pub(super) fn abandon(&mut self, model: &TextModel) -> Vec<Sequence> {
        self.cache = KvCache::new(model.num_blocks, model.block_size);
        let abandoned: Vec<Sequence> = self.running.drain(..).map(|running| running.sequence).collect();
        abandoned.iter().for_each(|sequence| self.tenants.leave(sequence.tenant()));
        abandoned
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
