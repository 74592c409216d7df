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
    /// Blocks of the KV cache that hold tokens of running requests.
    pub used_blocks: u32,
    /// Blocks that hold tokens of requests that have ended, for requests to come.
    pub cached_blocks: u32,
    /// Prompt tokens that were computed.
    pub prompt_tokens: u64,
    /// Prompt tokens that were looked up in the prefix cache.
    pub prefix_cache_queries: u64,
    /// Those of them that it held.
    pub prefix_cache_hits: u64,
    /// Requests that gave their blocks back to others and waited again.
    pub preemptions: u64,
    /// Tokens that were chosen.
    pub generated_tokens: u64,
    /// Draft tokens that were computed.
    pub draft_tokens: u64,
    /// Those of them that were accepted.
    pub accepted_tokens: u64,
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

    /// Notes how many blocks of the KV cache are used, and how many hold tokens for requests to
    /// come.
    pub(super) fn note_blocks(&mut self, used: u32, cached: u32) {
        (self.used_blocks, self.cached_blocks) = (used, cached);
    }

    /// Adds what a guest has counted in a step.
    pub(super) fn add(&mut self, before: &Stats, now: &Stats) {
        let since = |counter: fn(&Stats) -> u64| counter(now).saturating_sub(counter(before));
        if since(|stats| stats.num_forward_passes) > 0 {
            self.batch_sizes.count(since(|stats| stats.scheduled_requests));
        }
        self.note_blocks(now.used_blocks, now.cached_blocks);
        self.prompt_tokens += since(|stats| stats.prompt_tokens);
        self.prefix_cache_queries += since(|stats| stats.prefix_cache_queries);
        self.prefix_cache_hits += since(|stats| stats.prefix_cache_hits);
        self.preemptions += since(|stats| stats.preemptions);
        self.generated_tokens += since(|stats| stats.generated_tokens);
        self.draft_tokens += since(|stats| stats.draft_tokens);
        self.accepted_tokens += since(|stats| stats.accepted_tokens);
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
        let place = Self::BOUNDS.iter().position(|&bound| sequences <= bound).unwrap_or(Self::BOUNDS.len());
        self.counts[place] += 1;
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
