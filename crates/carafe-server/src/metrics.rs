//! The server's figures, as OpenMetrics text.
//!
//! Names are OpenTelemetry's for HTTP and for generative models, and vLLM's after `carafe_` where
//! those have none; `docs/metrics.md` explains each. Handlers count what they see. What a guest
//! counts itself is copied when the figures are asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use carafe_host::image::ImageTimes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use guests::GuestMetrics;
pub(crate) use guests::{GuestCounts, ModelFigures};

mod guests;

/// Bounds of histograms in seconds: from a tenth of a step of a small model to a long request.
const BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Methods with a label of their own; OpenTelemetry counts all others together, since clients may
/// invent any.
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
    queue: Seconds<ModelLabels>,
    inter_token: Seconds<ModelLabels>,
    prompt_tokens: Family<ModelLabels, Counter>,
    generation_tokens: Family<ModelLabels, Counter>,
    unread_streams: Family<ModelLabels, Counter>,
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
        let queue = "From a sequence's submission until the model began with it";
        let between = "Between two tokens of a sequence";
        let unread = "Streams cancelled because their clients did not read them";
        Self {
            first_token: register(to, "gen_ai_server_time_to_first_token_seconds", first, seconds()),
            output_token: register(to, "gen_ai_server_time_per_output_token_seconds", after, seconds()),
            duration: register(to, "gen_ai_server_request_duration_seconds", whole, seconds()),
            queue: register(to, "carafe_request_queue_time_seconds", queue, seconds()),
            inter_token: register(to, "carafe_inter_token_latency_seconds", between, seconds()),
            prompt_tokens: register(to, "carafe_prompt_tokens", "Tokens of prompts", Family::default()),
            generation_tokens: register(to, "carafe_generation_tokens", "Tokens generated", Family::default()),
            unread_streams: register(to, "carafe_unread_streams", unread, Family::default()),
        }
    }
}

impl Metrics {
    /// All figures as OpenMetrics text, with those that the served models count themselves.
    pub(crate) fn text(&self, models: impl Iterator<Item = ModelFigures>) -> String {
        // One scrape at a time copies: counters are raised by what they lack.
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        for ModelFigures { model, counts } in models {
            guests.copy(&model, &counts);
            self.copy_requests(&model, &counts);
        }
        drop(guests);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Copies which requests a model has. One that has done nothing yet is seen to have done
    /// nothing: every figure of its kind is there from the start.
    fn copy_requests(&self, model: &str, counts: &GuestCounts) {
        match counts {
            GuestCounts::Text { .. } => drop(self.of_text_model(model)),
            GuestCounts::Image(stats) => {
                self.running.get_or_create(&labels(model)).set(stats.running.cast_signed());
                self.waiting.get_or_create(&labels(model)).set(stats.waiting.cast_signed());
                for (part, _) in image_parts(&ImageTimes::default()) {
                    drop(self.image_seconds.get_or_create(&part_labels(model, part)));
                }
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
            queue: text.queue.get_or_create_owned(&labels),
            inter_token: text.inter_token.get_or_create_owned(&labels),
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
    pub(crate) queue: Histogram,
    pub(crate) inter_token: Histogram,
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
