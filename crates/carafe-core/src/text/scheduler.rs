//! Continuous batching: which sequences share the next inference, and how many tokens each
//! computes.
//!
//! An iteration has one token for every sequence that decodes, and beside them chunks of prompts. A
//! prompt is cut where its position is a multiple of the model's `prefill_chunk`, whatever else
//! runs, so that how a prompt is cut does not depend on load. While any sequence decodes, a step
//! takes no more prompt tokens than one chunk: that bounds the inter-token latency. While no
//! sequence decodes, a step takes as many chunks, each of another sequence, as
//! `max_num_batched_tokens` allows. `turns` decides which sequences a step is for. (Yu et al.,
//! "Orca", 2022; Agrawal et al., "Sarathi-Serve", 2024.)
//!
//! Waiting sequences are let in by turn (`tenants`), as soon as there are blocks for the tokens
//! that they have. One that begins like a sequence whose prompt is being computed waits until it
//! can share those blocks (`kv_cache`), and others may pass it meanwhile.
//!
//! How long a sequence becomes, nobody knows beforehand. Where blocks run out, the sequence that
//! arrived last gives its own back and waits again (preemption). It is computed anew later, but for
//! those of its blocks that are still found then. The one that arrived first never gives way, and
//! the cache has room for any one sequence, so all come to their end.
//!
//! After a failed inference nobody knows which of its sequences was at fault. All of them are
//! computed anew, and each runs isolated, in inferences of its own, so that the one at fault fails
//! alone.
//!
//! The scheduler decides on the rows (`output`); `model_inputs` assembles the tensors,
//! `output_processor` makes tokens of the logits.

use super::{
    kv_cache::{BlockTable, KvCache},
    model::TextModel,
    sequence::Sequence,
    tenants::Tenants,
};
pub(super) use output::{ScheduledRow, SchedulerOutput};
use turns::Group;

mod output;
mod turns;

/// A step so narrow costs little more than one token, since it reads all weights anyway: draft
/// tokens are computed in no wider one, and tenants are given more rows until it is full.
const NARROW_STEP: usize = 8;

/// A sequence with its blocks.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) sequence: Sequence,
    pub(super) blocks: BlockTable,
    /// What its cached blocks are found by, as of when it was let in; none if it shares none.
    salt: Option<u64>,
    /// The iteration in which it was scheduled last; 0 if it was not yet.
    last_scheduled: u64,
}

/// What a scheduler has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CacheCounters {
    /// Tokens that new sequences looked up in the prefix cache.
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
    /// Steps for prompts alone since the last one in which others decoded.
    num_prefill_steps: usize,
    counters: CacheCounters,
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
            counters: CacheCounters::default(),
        }
    }

    /// How many sequences wait.
    pub(super) fn num_waiting(&self) -> usize {
        self.tenants.num_waiting()
    }

    /// What was counted so far.
    pub(super) fn counters(&self) -> CacheCounters {
        self.counters
    }

    /// Blocks that hold tokens of running sequences.
    pub(super) fn num_used_blocks(&self) -> usize {
        self.cache.num_used()
    }

    /// Blocks that hold tokens for sequences to come.
    pub(super) fn num_cached_blocks(&self) -> usize {
        self.cache.num_unreferenced()
    }

    /// Lets a new sequence wait, whose id is above those of all before.
    pub(super) fn enqueue(&mut self, sequence: Sequence) {
        self.tenants.add(sequence);
    }

    /// Lets the next waiting sequence in that may run now. Call until there is none.
    pub(super) fn admit(&mut self, model: &TextModel) -> Option<&mut Sequence> {
        if self.running.len() >= model.max_num_seqs.min(model.max_num_logits) as usize {
            return None;
        }
        let sequence = self.tenants.next(|sequence| !self.waits_for_prefix(sequence, model))?;
        let (id, salt) = (sequence.id, sequence.prefix_salt(model));
        let prefix = self.cache.find_prefix(salt, sequence.tokens());
        let num_cached_tokens = prefix.num_blocks() * self.cache.block_size();
        // A sequence that finds no room keeps those behind it waiting. A block for each that runs,
        // so that the next tokens do not take away again what has just been given.
        let blocks = self.cache.allocate(prefix, sequence.tokens().len(), self.running.len())?;
        let mut sequence = self.tenants.take(id)?;
        if salt.is_some() && !sequence.is_started() {
            self.counters.prefix_cache_queries += sequence.tokens().len() as u64;
            self.counters.prefix_cache_hits += num_cached_tokens as u64;
        }
        sequence.begin_at(num_cached_tokens);
        self.tenants.charge(sequence.tenant(), sequence.num_pending_tokens());
        self.running.push(Running { sequence, blocks, salt, last_scheduled: 0 });
        self.running.last_mut().map(|running| &mut running.sequence)
    }

    /// Whether a running sequence is computing a block that this one begins with too.
    fn waits_for_prefix(&self, sequence: &Sequence, model: &TextModel) -> bool {
        let salt = sequence.prefix_salt(model);
        let size = self.cache.block_size();
        let computes_it = |running: &Running| {
            let other = &running.sequence;
            let end = (other.num_computed_tokens() / size + 1) * size;
            other.is_prefilling() && running.salt == salt && sequence.begins_like(other, end)
        };
        salt.is_some() && self.running.iter().any(computes_it)
    }

    /// Decides on the next inference, and gives its rows their blocks. None while nothing can run.
    pub(super) fn schedule(&mut self, model: &TextModel) -> Option<SchedulerOutput> {
        self.iteration += 1;
        let (group, mut rows) = self.rows_with_room()?;
        if !group.decoding.is_empty() && !group.prefilling.is_empty() {
            let prompts_go_first = self.prompts_go_first(&group);
            self.num_prefill_steps = if prompts_go_first { self.num_prefill_steps + 1 } else { 0 };
            if prompts_go_first {
                rows.clear();
            }
        }
        self.add_prefill_rows(group, model, &mut rows);
        self.add_draft_tokens(model, &mut rows);
        rows.sort_by_key(|row| row.index);
        rows.iter().for_each(|row| self.start(row));
        Some(SchedulerOutput { rows })
    }

    /// Gives a row's sequence its blocks, and counts it for its tenant.
    fn start(&mut self, row: &ScheduledRow) {
        let Running { sequence, blocks, last_scheduled, .. } = &mut self.running[row.index];
        *last_scheduled = self.iteration;
        self.cache.extend(blocks, sequence.num_computed_tokens() + row.width());
        // A prompt was counted when its sequence was let in.
        if !sequence.is_prefilling() {
            self.tenants.charge(sequence.tenant(), row.width());
        }
    }

    /// The sequences that may share the next inference, and a row for each of them that decodes.
    /// There is room for these; sequences have given way where there was none.
    fn rows_with_room(&mut self) -> Option<(Group, Vec<ScheduledRow>)> {
        loop {
            let group = self.next_group()?;
            let rows: Vec<_> = self.fair_share(&group.decoding).into_iter().map(ScheduledRow::decode).collect();
            if rows.iter().map(|row| self.num_missing_blocks(row)).sum::<usize>() <= self.cache.num_free() {
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
            self.cache.free(&blocks);
            sequence.recompute(false);
            self.tenants.requeue(sequence);
            self.counters.preemptions += 1;
        }
    }

    /// Chunks of prompts within the token budget, those of the tenant that has had least first,
    /// then by arrival.
    fn add_prefill_rows(&self, group: Group, model: &TextModel, rows: &mut Vec<ScheduledRow>) {
        let Group { mut prefilling, decoding } = group;
        let chunk = model.prefill_chunk as usize;
        prefilling.sort_by_key(|&index| self.tenants.num_tokens(self.running[index].sequence.tenant()));
        let mut tokens = if decoding.is_empty() { model.max_num_batched_tokens as usize } else { chunk };
        let mut logits = model.max_num_logits as usize - rows.len();
        for index in prefilling {
            let row = ScheduledRow::prefill(index, &self.running[index].sequence, chunk, logits);
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
        let widest = NARROW_STEP.min(model.max_num_batched_tokens as usize);
        let mut room = widest.saturating_sub(width).min((model.max_num_logits as usize).saturating_sub(logits));
        let each = (NARROW_STEP / rows.len().max(1)).saturating_sub(1).min(model.draft_tokens as usize);
        let needed: usize = rows.iter().map(|row| self.num_missing_blocks(row)).sum();
        let mut num_free = self.cache.num_free().saturating_sub(needed);
        for row in rows {
            let without = self.num_missing_blocks(row);
            let sequence = &mut self.running[row.index].sequence;
            if sequence.is_prefilling() {
                continue;
            }
            row.draft_tokens = sequence.draft(each.min(room));
            let needed = self.num_missing_blocks(row) - without;
            if needed > num_free {
                row.draft_tokens.clear();
                continue;
            }
            num_free -= needed;
            row.num_logits += row.draft_tokens.len();
            room -= row.draft_tokens.len();
        }
    }

    /// Lets others find the blocks that the sequence at `index` has filled.
    pub(super) fn cache_blocks(&mut self, index: usize) {
        let Running { sequence, blocks, .. } = &mut self.running[index];
        self.cache.cache_full_blocks(blocks, &sequence.tokens()[..sequence.num_computed_tokens()]);
    }

    /// Ends the sequences at these indices of [`Scheduler::running`], which rise.
    pub(super) fn finish(&mut self, indices: &[usize]) {
        for &index in indices.iter().rev() {
            let running = self.running.remove(index);
            self.cache.free(&running.blocks);
            self.tenants.remove(running.sequence.tenant());
        }
    }

    /// Takes a sequence out, wherever it is. False if it is not there (any more).
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        if let Some(index) = self.running.iter().position(|running| running.sequence.id == id) {
            self.finish(&[index]);
            return true;
        }
        let waiting = self.tenants.take(id);
        waiting.iter().for_each(|sequence| self.tenants.remove(sequence.tenant()));
        waiting.is_some()
    }

    /// Begins anew after an inference with these rows failed: all blocks are lost, and every
    /// running sequence waits again. A sequence that ran in it by itself is at fault and is
    /// returned; several run isolated from now on.
    pub(super) fn recover(&mut self, rows: &[ScheduledRow], model: &TextModel) -> Option<Sequence> {
        let at_fault = if let [row] = rows { Some(row.index) } else { None };
        let mut failed = None;
        for (index, mut sequence) in self.lose_cache(model).into_iter().enumerate() {
            if at_fault == Some(index) {
                self.tenants.remove(sequence.tenant());
                failed = Some(sequence);
                continue;
            }
            sequence.recompute(rows.iter().any(|row| row.index == index));
            self.tenants.requeue(sequence);
        }
        failed
    }

    /// Gives up all sequences that run, since the cache could not be made.
    pub(super) fn abandon(&mut self, model: &TextModel) -> Vec<Sequence> {
        let abandoned = self.lose_cache(model);
        abandoned.iter().for_each(|sequence| self.tenants.remove(sequence.tenant()));
        abandoned
    }

    /// Begins with an empty cache; the sequences that ran, in their order, have no blocks any more.
    fn lose_cache(&mut self, model: &TextModel) -> Vec<Sequence> {
        self.cache = KvCache::new(model.num_blocks, model.block_size);
        self.running.drain(..).map(|running| running.sequence).collect()
    }
}
