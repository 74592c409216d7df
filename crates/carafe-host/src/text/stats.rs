//! What a text model has counted since it was started.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Stats;

/// Counters of a text model since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextStats {
    /// Most bytes of linear memory that the guest which generates has had.
    pub generator_memory: u64,
    /// Most bytes of linear memory that the guest which prepares requests has had.
    pub preparer_memory: u64,
    /// Calls of the guest's `step`.
    pub steps: u64,
    /// Time of those calls.
    pub step_time: Duration,
    /// The part of it that computes took: OpenVINO, and the checks and copies around it.
    pub model_time: Duration,
    /// The part of it that computes took with all that the host does for them: its tensors taken
    /// and kept as well.
    pub host_time: Duration,
    /// The part of it that OpenVINO alone took.
    pub inference_time: Duration,
    /// Generating guests that were replaced after a trap.
    pub generators_replaced: u64,
    /// Preparing guests that were replaced after a trap.
    pub preparers_replaced: u64,
    /// How many sequences inferences have had.
    pub batch_sizes: BatchSizes,
    /// What the generating guests have counted, those that were replaced included; the numbers of
    /// requests and blocks are the latest one's.
    pub counted: Stats,
}

#[expect(clippy::derivable_impls, reason = "the record is generated, and not every one of its kind has a default")]
impl Default for Stats {
    fn default() -> Self {
        Self {
            running: 0,
            waiting: 0,
            used_blocks: 0,
            cached_blocks: 0,
            num_forward_passes: 0,
            scheduled_requests: 0,
            prompt_tokens: 0,
            prefix_cache_queries: 0,
            prefix_cache_hits: 0,
            preemptions: 0,
            generated_tokens: 0,
            draft_tokens: 0,
            accepted_tokens: 0,
        }
    }
}

impl TextStats {
    /// Most bytes of linear memory that both guests have had.
    #[must_use]
    pub fn guest_memory(&self) -> u64 {
        self.generator_memory + self.preparer_memory
    }

    /// Guests that were replaced after a trap.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.generators_replaced + self.preparers_replaced
    }

    /// Notes how a guest stands: which requests it has and which blocks they use.
    pub(super) fn note_state(&mut self, now: &Stats) {
        let Stats { running, waiting, used_blocks, cached_blocks, .. } = *now;
        self.counted = Stats { running, waiting, used_blocks, cached_blocks, ..self.counted };
    }

    /// Adds what a guest has counted in a step.
    pub(super) fn add(&mut self, before: &Stats, now: &Stats) {
        let since = |counter: fn(&Stats) -> u64| counter(now).saturating_sub(counter(before));
        if since(|stats| stats.num_forward_passes) > 0 {
            self.batch_sizes.count(since(|stats| stats.scheduled_requests));
        }
        let total = |counter: fn(&Stats) -> u64| counter(&self.counted) + since(counter);
        self.counted = Stats {
            num_forward_passes: total(|stats| stats.num_forward_passes),
            scheduled_requests: total(|stats| stats.scheduled_requests),
            prompt_tokens: total(|stats| stats.prompt_tokens),
            prefix_cache_queries: total(|stats| stats.prefix_cache_queries),
            prefix_cache_hits: total(|stats| stats.prefix_cache_hits),
            preemptions: total(|stats| stats.preemptions),
            generated_tokens: total(|stats| stats.generated_tokens),
            draft_tokens: total(|stats| stats.draft_tokens),
            accepted_tokens: total(|stats| stats.accepted_tokens),
            ..*now
        };
    }
}

/// How many inferences had how many sequences.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSizes {
    /// For each of [`BatchSizes::BOUNDS`], the inferences whose sequences are at most this bound,
    /// and more than the bound before; last, those with more sequences than any bound.
    pub counts: [u64; Self::BOUNDS.len() + 1],
    /// The sequences of all inferences.
    pub sum: u64,
}

impl BatchSizes {
    /// Numbers of sequences.
    pub const BOUNDS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

    fn count(&mut self, sequences: u64) {
        let bucket = Self::BOUNDS.iter().position(|&bound| sequences <= bound).unwrap_or(Self::BOUNDS.len());
        self.counts[bucket] += 1;
        self.sum += sequences;
    }
}

/// Counters that two threads add to.
#[derive(Clone, Debug, Default)]
pub(super) struct StatsCell(Arc<Mutex<TextStats>>);

impl StatsCell {
    pub(super) fn get(&self) -> TextStats {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut TextStats)) {
        update(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
