//! What guests count themselves, copied when the figures are asked for.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use carafe_host::image::ImageStats;
use carafe_host::text::{BatchSizes, KvCacheSizes, TextStats};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::{ModelLabels, PartLabels, labels, part_labels, register};

/// The labels of a number of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BlockLabels {
    model: String,
    state: &'static str,
}

/// How many sequences inferences have had, as the guest's host has counted it.
#[derive(Clone, Debug, Default)]
struct BatchSizeHistogram(Arc<Mutex<BatchSizes>>);

impl BatchSizeHistogram {
    fn set(&self, sizes: BatchSizes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sizes;
    }
}

impl EncodeMetric for BatchSizeHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let BatchSizes { counts, sum } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = BatchSizes::BOUNDS.iter().map(|&bound| bound as f64).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(sum as f64, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl TypedMetric for BatchSizeHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

/// What one model has counted so far.
pub(crate) struct ModelFigures {
    /// The model's name.
    pub(crate) model: String,
    pub(crate) counts: GuestCounts,
}

/// What the guests of one model have counted so far.
pub(crate) enum GuestCounts {
    Text { stats: Box<TextStats>, cache: KvCacheSizes },
    Image(ImageStats),
}

/// The figures of guests, of all models.
pub(super) struct GuestMetrics {
    steps: Family<ModelLabels, Counter>,
    step_seconds: Family<PartLabels, Counter<f64, AtomicU64>>,
    memory: Family<ModelLabels, Gauge>,
    replacements: Family<ModelLabels, Counter>,
    batch_sizes: Family<ModelLabels, BatchSizeHistogram>,
    prefix_cache_queries: Family<ModelLabels, Counter>,
    prefix_cache_hits: Family<ModelLabels, Counter>,
    preemptions: Family<ModelLabels, Counter>,
    draft_tokens: Family<ModelLabels, Counter>,
    accepted_tokens: Family<ModelLabels, Counter>,
    cache_usage: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    cache_blocks: Family<BlockLabels, Gauge>,
    cache_block_size: Family<ModelLabels, Gauge>,
    cache_bytes: Family<ModelLabels, Gauge>,
}

impl GuestMetrics {
    pub(super) fn register(to: &mut Registry) -> Self {
        let memory = "Most linear memory that the model's guests have had, added up";
        let replacements = "Guests replaced after a trap";
        let sizes = "Sequences of an inference";
        let queries = "Prompt tokens that were looked up in the prefix cache";
        let hits = "Prompt tokens that were found in the prefix cache";
        let preemptions = "Sequences that gave their blocks back to others, and are computed anew";
        let (drafts, accepted) = ("Draft tokens", "Draft tokens that were accepted");
        let usage = "Share of the KV cache's blocks that hold tokens of running requests";
        Self {
            steps: register(to, "carafe_steps", "Steps of the model's guest", Family::default()),
            step_seconds: register(to, "carafe_step_seconds", "Time of those steps by part", Family::default()),
            memory: register(to, "carafe_guest_memory_bytes", memory, Family::default()),
            replacements: register(to, "carafe_guest_replacements", replacements, Family::default()),
            batch_sizes: register(to, "carafe_batch_size", sizes, Family::default()),
            prefix_cache_queries: register(to, "carafe_prefix_cache_queries", queries, Family::default()),
            prefix_cache_hits: register(to, "carafe_prefix_cache_hits", hits, Family::default()),
            preemptions: register(to, "carafe_preemptions", preemptions, Family::default()),
            cache_usage: register(to, "carafe_kv_cache_usage_ratio", usage, Family::default()),
            cache_blocks: register(to, "carafe_kv_cache_blocks", "Blocks of the KV cache by state", Family::default()),
            cache_block_size: register(to, "carafe_kv_cache_block_size_tokens", "Tokens of a block", Family::default()),
            cache_bytes: register(to, "carafe_kv_cache_bytes", "Memory of the KV cache", Family::default()),
            draft_tokens: register(to, "carafe_spec_decode_num_draft_tokens", drafts, Family::default()),
            accepted_tokens: register(to, "carafe_spec_decode_num_accepted_tokens", accepted, Family::default()),
        }
    }

    pub(super) fn copy(&self, model: &str, counts: &GuestCounts) {
        match counts {
            GuestCounts::Text { stats, cache } => {
                self.copy_guest(model, stats.guest_memory(), stats.replaced());
                self.copy_text(model, stats);
                self.copy_cache(model, stats, cache);
            }
            GuestCounts::Image(stats) => self.copy_guest(model, stats.guest_memory, stats.replaced),
        }
    }

    /// What is counted of the guests of every kind of model.
    fn copy_guest(&self, model: &str, guest_memory: u64, replaced: u64) {
        let labels = labels(model);
        self.memory.get_or_create(&labels).set(guest_memory.cast_signed());
        raise(&self.replacements.get_or_create(&labels), replaced);
    }

    fn copy_cache(&self, model: &str, stats: &TextStats, cache: &KvCacheSizes) {
        let labels = labels(model);
        let (used, cached) = (stats.counted.used_blocks, stats.counted.cached_blocks);
        let usage = f64::from(used) / f64::from(cache.num_blocks.max(1));
        self.cache_usage.get_or_create(&labels).set(usage);
        let free = cache.num_blocks.saturating_sub(used + cached);
        for (state, blocks) in [("free", free), ("used", used), ("cached", cached)] {
            self.cache_blocks.get_or_create(&BlockLabels { model: model.to_owned(), state }).set(blocks.into());
        }
        self.cache_block_size.get_or_create(&labels).set(cache.block_size.into());
        self.cache_bytes.get_or_create(&labels).set(cache.bytes.cast_signed());
    }

    fn copy_text(&self, model: &str, stats: &TextStats) {
        let labels = labels(model);
        raise(&self.steps.get_or_create(&labels), stats.steps);
        self.batch_sizes.get_or_create(&labels).set(stats.batch_sizes);
        raise(&self.prefix_cache_queries.get_or_create(&labels), stats.counted.prefix_cache_queries);
        raise(&self.prefix_cache_hits.get_or_create(&labels), stats.counted.prefix_cache_hits);
        raise(&self.preemptions.get_or_create(&labels), stats.counted.preemptions);
        raise(&self.draft_tokens.get_or_create(&labels), stats.counted.draft_tokens);
        raise(&self.accepted_tokens.get_or_create(&labels), stats.counted.accepted_tokens);
        let sandbox = stats.step_time.saturating_sub(stats.model_time);
        for (part, time) in [("sandbox", sandbox), ("model", stats.model_time)] {
            let counter = self.step_seconds.get_or_create(&part_labels(model, part));
            counter.inc_by((time.as_secs_f64() - counter.get()).max(0.0));
        }
    }
}

/// Raises a counter to what was counted elsewhere.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
