//! What is recorded of each request: one line in the log and one observation in the metrics,
//! when its answer has been sent.
//!
//! `layers/record` gives each request a [`Record`], in which handlers note what they learn. The
//! record is written when nobody can add to it any more: its last holder is the answer's body, a
//! stream's task, or a handler whose client has left. So a stream is recorded at its end, not at
//! its beginning.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};

use crate::error::ApiError;
use crate::known_fields::KnownFields;
use crate::metrics::known_method;
use crate::server::Server;

/// What is logged as the status of a request whose client left before there was one; nginx's number
/// for it.
const CLIENT_LEFT: u16 = 499;

/// What records are made with; clones make the same.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) server: Server,
    /// The fields that the log may name.
    pub(crate) known_fields: KnownFields,
}

/// The facts of one request; clones are the same record.
#[derive(Clone)]
pub(crate) struct Record(Arc<Shared>);

struct Shared {
    recorder: Recorder,
    request_id: String,
    method: &'static str,
    route: String,
    started: Instant,
    facts: Mutex<Facts>,
}

/// What handlers learn of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) status: Option<u16>,
    /// The error that was answered, or that ended a stream; without its message, which repeats what
    /// the client sent.
    error: Option<String>,
    /// The field at fault, if there is one of that name.
    param: Option<&'static str>,
    /// The error's message; only where prompts may be logged.
    error_message: Option<String>,
    /// The number of the request's key, where keys are asked for.
    pub(crate) key: Option<u64>,
    pub(crate) model: Option<String>,
    /// Only where prompts may be logged.
    pub(crate) prompt: Option<String>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
    pub(crate) finish_reason: Option<&'static str>,
    pub(crate) queue: Option<Duration>,
    pub(crate) first_token: Option<Duration>,
}

impl Recorder {
    /// The record of a request whose head has just been read.
    pub(crate) fn begin(self, request: &Request, request_id: String) -> Record {
        let path = request.extensions().get::<MatchedPath>();
        Record(Arc::new(Shared {
            recorder: self,
            request_id,
            method: known_method(request.method()),
            route: path.map_or("unmatched", MatchedPath::as_str).to_owned(),
            started: Instant::now(),
            facts: Mutex::default(),
        }))
    }
}

impl Record {
    /// The request's id.
    pub(crate) fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Time since the request's head was read.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Notes something.
    pub(crate) fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.0.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes an error, in words that hold nothing of what the client sent.
    pub(crate) fn note_error(&self, error: &ApiError) {
        let Recorder { server, known_fields } = &self.0.recorder;
        let message = server.configuration().log_prompts.then(|| error.to_string());
        self.note(|facts| {
            facts.error = Some(error.logged());
            facts.param = error.param().and_then(|path| known_fields.find(path));
            facts.error_message = message;
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut self.facts).into_inner().unwrap_or_else(PoisonError::into_inner);
        let (status, total) = (facts.status.unwrap_or(CLIENT_LEFT), self.started.elapsed());
        self.recorder.server.metrics().observe_request(self.method, &self.route, status, total);
        tell(self, &facts, status, total);
    }
}

/// The request's line in the log; what does not concern it is left out.
fn tell(shared: &Shared, facts: &Facts, status: u16, total: Duration) {
    tracing::info!(
        request_id = shared.request_id,
        method = shared.method,
        route = shared.route,
        status,
        key = facts.key,
        model = facts.model,
        prompt = facts.prompt,
        prompt_tokens = facts.prompt_tokens,
        cached_tokens = facts.cached_tokens,
        completion_tokens = facts.completion_tokens,
        finish_reason = facts.finish_reason,
        queue_ms = facts.queue.map(milliseconds),
        first_token_ms = facts.first_token.map(milliseconds),
        total_ms = milliseconds(total),
        error = facts.error,
        param = facts.param,
        error_message = facts.error_message,
        "request"
    );
}

/// A time as answers and logs give it.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    // To a microsecond: more digits would only look exact.
    (time.as_secs_f64() * 1e6).round() / 1e3
}
