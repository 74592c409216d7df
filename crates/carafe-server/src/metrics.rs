//! The server's figures, as OpenMetrics text.
//!
//! Names are OpenTelemetry's for HTTP and for generative models, and vLLM's after `carafe_` where those have none; `docs/metrics.md`
//! explains each. Handlers count what they see. What a guest counts itself is copied when the figures are asked for.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use carafe_host::image::ImageTimes;
use carafe_host::text::{KvCacheSizes, TextStats};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::models::Models;

/// Bounds of histograms in seconds: from a tenth of a step of a small model to a long request.
const BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Methods with a label of their own; OpenTelemetry counts all others together, since clients may invent any.
const METHODS: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];

/// The name of a method in labels and in the log.
pub(crate) fn known_method(method: &Method) -> &'static str {
    // A constant of this file is borrowed, and so its text lives on.
    const KNOWN: &[Method] = &METHODS;
    KNOWN.iter().find(|known| *known == method).map_or("_OTHER", Method::as_str)
}

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every figure, and the registry that prints them.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Seconds<HttpLabels>,
    running: Family<ModelLabels, Gauge>,
    waiting: Family<ModelLabels, Gauge>,
    text: TextMetrics,
    image_seconds: Seconds<PartLabels>,
    /// Bytes of request bodies in flight.
    pub(crate) body_bytes: Gauge,
    pub(crate) connections: ConnectionMetrics,
    guests: Mutex<GuestMetrics>,
}

/// What is counted of connections.
#[derive(Clone, Default)]
pub(crate) struct ConnectionMetrics {
    pub(crate) open: Gauge,
    /// Those that made room for a new one.
    pub(crate) dropped: Counter,
}

/// What is counted of requests to text models.
#[derive(Clone)]
struct TextMetrics {
    first_token: Seconds<GenAiLabels>,
    output_token: Seconds<GenAiLabels>,
    duration: Seconds<GenAiLabels>,
    prompt_tokens: Family<ModelLabels, Counter>,
    generation_tokens: Family<ModelLabels, Counter>,
    unread_streams: Family<ModelLabels, Counter>,
}

/// What guests count, copied when it is asked for.
struct GuestMetrics {
    steps: Family<ModelLabels, Counter>,
    step_seconds: Family<PartLabels, Counter<f64, AtomicU64>>,
    memory: Family<ModelLabels, Gauge>,
    replacements: Family<ModelLabels, Counter>,
    cached_tokens: Family<ModelLabels, Counter>,
    draft_tokens: Family<ModelLabels, Counter>,
    accepted_tokens: Family<ModelLabels, Counter>,
    cache_usage: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    cache_blocks: Family<ModelLabels, Gauge>,
    cache_block_size: Family<ModelLabels, Gauge>,
    cache_bytes: Family<ModelLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    http_request_method: String,
    http_route: String,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GenAiLabels {
    gen_ai_request_model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    model: String,
    part: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        let requests =
            register(to, "http_server_request_duration_seconds", "Requests by status, and their time", seconds());
        let running = register(to, "carafe_num_requests_running", "Sequences or images that run", Family::default());
        let waiting = register(to, "carafe_num_requests_waiting", "Sequences or images that wait", Family::default());
        let text = TextMetrics::register(to);
        let image_seconds = register(to, "carafe_image_seconds", "Parts of a classification", seconds());
        let body_bytes =
            register(to, "carafe_request_body_bytes", "Bytes of request bodies held now", Gauge::default());
        let connections = ConnectionMetrics::register(to);
        let guests = Mutex::new(GuestMetrics::register(to));
        Self { registry, requests, running, waiting, text, image_seconds, body_bytes, connections, guests }
    }
}

impl ConnectionMetrics {
    fn register(to: &mut Registry) -> Self {
        let dropped = "Quiet connections dropped to make room for new ones";
        Self {
            open: register(to, "carafe_connections", "Connections open now", Gauge::default()),
            dropped: register(to, "carafe_connections_dropped", dropped, Counter::default()),
        }
    }
}

impl TextMetrics {
    fn register(to: &mut Registry) -> Self {
        let first = "From a request's arrival to its first token";
        let after = "Time per token after the first, of one sequence";
        let whole = "From a request's arrival to its last token";
        let unread = "Streams cancelled because their clients did not read them";
        Self {
            first_token: register(to, "gen_ai_server_time_to_first_token_seconds", first, seconds()),
            output_token: register(to, "gen_ai_server_time_per_output_token_seconds", after, seconds()),
            duration: register(to, "gen_ai_server_request_duration_seconds", whole, seconds()),
            prompt_tokens: register(to, "carafe_prompt_tokens", "Tokens of prompts", Family::default()),
            generation_tokens: register(to, "carafe_generation_tokens", "Tokens generated", Family::default()),
            unread_streams: register(to, "carafe_unread_streams", unread, Family::default()),
        }
    }
}

impl GuestMetrics {
    fn register(to: &mut Registry) -> Self {
        let memory = "Most linear memory that the model's guests have had, added up";
        let replacements = "Guests replaced after a trap";
        let cached = "Prompt tokens that the KV cache held already, for another request";
        let (drafts, accepted) = ("Draft tokens", "Draft tokens that were accepted");
        let usage = "Share of the KV cache's blocks that hold tokens of running requests";
        Self {
            steps: register(to, "carafe_steps", "Steps of the model's guest", Family::default()),
            step_seconds: register(to, "carafe_step_seconds", "Time of those steps by part", Family::default()),
            memory: register(to, "carafe_guest_memory_bytes", memory, Family::default()),
            replacements: register(to, "carafe_guest_replacements", replacements, Family::default()),
            cached_tokens: register(to, "carafe_cached_prompt_tokens", cached, Family::default()),
            cache_usage: register(to, "carafe_kv_cache_usage_ratio", usage, Family::default()),
            cache_blocks: register(to, "carafe_kv_cache_blocks", "Blocks of the KV cache", Family::default()),
            cache_block_size: register(to, "carafe_kv_cache_block_size_tokens", "Tokens of a block", Family::default()),
            cache_bytes: register(to, "carafe_kv_cache_bytes", "Memory of the KV cache", Family::default()),
            draft_tokens: register(to, "carafe_spec_decode_num_draft_tokens", drafts, Family::default()),
            accepted_tokens: register(to, "carafe_spec_decode_num_accepted_tokens", accepted, Family::default()),
        }
    }

    /// What is counted of the guests of every kind of model.
    fn copy(&self, model: &str, guest_memory: u64, replaced: u64) {
        let labels = labels(model);
        self.memory.get_or_create(&labels).set(guest_memory.cast_signed());
        raise(&self.replacements.get_or_create(&labels), replaced);
    }

    fn copy_cache(&self, model: &str, stats: &TextStats, cache: &KvCacheSizes) {
        let labels = labels(model);
        let usage = f64::from(stats.used_blocks) / f64::from(cache.num_blocks.max(1));
        self.cache_usage.get_or_create(&labels).set(usage);
        self.cache_blocks.get_or_create(&labels).set(cache.num_blocks.into());
        self.cache_block_size.get_or_create(&labels).set(cache.block_size.into());
        self.cache_bytes.get_or_create(&labels).set(cache.bytes.cast_signed());
    }

    fn copy_text(&self, model: &str, stats: &TextStats) {
        let labels = labels(model);
        raise(&self.steps.get_or_create(&labels), stats.steps);
        raise(&self.cached_tokens.get_or_create(&labels), stats.cached_tokens);
        raise(&self.draft_tokens.get_or_create(&labels), stats.draft_tokens);
        raise(&self.accepted_tokens.get_or_create(&labels), stats.accepted_tokens);
        let sandbox = stats.step_time.saturating_sub(stats.model_time);
        for (part, time) in [("sandbox", sandbox), ("model", stats.model_time)] {
            let counter = self.step_seconds.get_or_create(&part_labels(model, part));
            counter.inc_by((time.as_secs_f64() - counter.get()).max(0.0));
        }
    }
}

impl Metrics {
    /// All figures as OpenMetrics text; models that are not loaded yet have none.
    pub(crate) fn text(&self, models: Option<&Models>) -> String {
        if let Some(models) = models {
            self.copy(models);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Copies what the models count themselves. One that has done nothing yet is seen to have done
    /// nothing: every figure of its kind is there from the start.
    fn copy(&self, models: &Models) {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        for served in models.texts() {
            let (model, stats) = (&served.card.id, served.model.stats());
            guests.copy(model, stats.guest_memory(), stats.replaced());
            guests.copy_text(model, &stats);
            guests.copy_cache(model, &stats, &served.model.kv_cache());
            drop(self.of_text_model(model));
        }
        for served in models.images() {
            let (model, stats) = (&served.card.id, served.model.stats());
            guests.copy(model, stats.guest_memory, stats.replaced);
            self.running.get_or_create(&labels(model)).set(stats.running.cast_signed());
            self.waiting.get_or_create(&labels(model)).set(stats.waiting.cast_signed());
            for (part, _) in image_parts(&ImageTimes::default()) {
                drop(self.image_seconds.get_or_create(&part_labels(model, part)));
            }
        }
    }

    /// Counts an answered request.
    pub(crate) fn observe_request(&self, method: &'static str, route: &str, status: u16, time: Duration) {
        let labels = HttpLabels {
            http_request_method: method.to_owned(),
            http_route: route.to_owned(),
            http_response_status_code: status,
        };
        self.requests.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// Counts a classified image.
    pub(crate) fn observe_image(&self, model: &str, times: &ImageTimes) {
        for (part, time) in image_parts(times) {
            self.image_seconds.get_or_create(&part_labels(model, part)).observe(time.as_secs_f64());
        }
    }

    /// The figures of one text model, for a request to count in.
    pub(crate) fn of_text_model(&self, model: &str) -> TextMeter {
        let (labels, gen_ai) = (labels(model), GenAiLabels { gen_ai_request_model: model.to_owned() });
        let text = &self.text;
        TextMeter {
            first_token: text.first_token.get_or_create_owned(&gen_ai),
            output_token: text.output_token.get_or_create_owned(&gen_ai),
            duration: text.duration.get_or_create_owned(&gen_ai),
            running: self.running.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
            prompt_tokens: text.prompt_tokens.get_or_create_owned(&labels),
            generation_tokens: text.generation_tokens.get_or_create_owned(&labels),
            unread_streams: text.unread_streams.get_or_create_owned(&labels),
        }
    }
}

/// The figures of one text model.
#[derive(Clone)]
pub(crate) struct TextMeter {
    pub(crate) first_token: Histogram,
    pub(crate) output_token: Histogram,
    pub(crate) duration: Histogram,
    pub(crate) running: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) prompt_tokens: Counter,
    pub(crate) generation_tokens: Counter,
    pub(crate) unread_streams: Counter,
}

fn register<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, metric: M) -> M {
    to.register(name, help, metric.clone());
    metric
}

fn seconds<L: Clone + Eq + std::hash::Hash>() -> Seconds<L> {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

fn labels(model: &str) -> ModelLabels {
    ModelLabels { model: model.to_owned() }
}

fn part_labels(model: &str, part: &'static str) -> PartLabels {
    PartLabels { model: model.to_owned(), part }
}

/// The parts of a classification with their times.
fn image_parts(times: &ImageTimes) -> [(&'static str, Duration); 4] {
    [("queue", times.queue), ("decode", times.decode), ("resize", times.resize), ("model", times.model)]
}

/// Raises a counter to what was counted elsewhere.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
