//! What is told of each request afterwards: one line in the log and one observation in the metrics, when its answer has been sent.
//!
//! [`keep`] stands before everything else. It gives the request an id, a deadline and a [`Record`], in which handlers note what they
//! learn, and writes the bodies of errors. The record is told when nobody can add to it any more: its last holder is the answer's body,
//! a stream's task, or a handler whose client has left. So a stream is told of at its end, not at its beginning.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::holding::holding;
use crate::metrics::known_method;
use crate::random;
use crate::server::Server;

/// The header with a request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is logged as the status of a request whose client left before there was one; nginx's number for it.
const CLIENT_LEFT: u16 = 499;

/// The facts of one request; clones are the same record.
#[derive(Clone)]
pub(crate) struct Record(Arc<Shared>);

struct Shared {
    server: Server,
    request_id: String,
    method: &'static str,
    route: String,
    started: Instant,
    facts: Mutex<Facts>,
}

/// What handlers learn of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    status: Option<u16>,
    /// The error that was answered, or that ended a stream; without its message, which repeats what
    /// the client sent.
    error: Option<String>,
    /// The field at fault, if there is one of that name.
    param: Option<&'static str>,
    /// The error's message; only where prompts may be logged.
    error_message: Option<String>,
    pub(crate) model: Option<String>,
    /// Only where prompts may be logged.
    pub(crate) prompt: Option<String>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
    pub(crate) finish_reason: Option<&'static str>,
    pub(crate) queue: Option<Duration>,
    pub(crate) first_token: Option<Duration>,
}

impl Record {
    fn of(request: &Request, server: Server) -> Self {
        let path = request.extensions().get::<MatchedPath>();
        Self(Arc::new(Shared {
            server,
            request_id: request_id(request),
            method: known_method(request.method()),
            route: path.map_or("unmatched", MatchedPath::as_str).to_owned(),
            started: Instant::now(),
            facts: Mutex::default(),
        }))
    }

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
        let message = self.0.server.configuration().log_prompts.then(|| error.to_string());
        self.note(|facts| {
            facts.error = Some(error.logged());
            facts.param = error.known_param();
            facts.error_message = message;
        });
    }
}

/// Lets a request through to its handler, with a record that is told at its end.
pub(crate) async fn keep(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    let mut deadline = Deadline::starting_now(&server);
    let record = Record::of(&request, server);
    request.extensions_mut().insert(record.clone());
    request.extensions_mut().insert(deadline.clone());
    let response = deadline.bound(next.run(request)).await.unwrap_or_else(IntoResponse::into_response);
    let mut response = with_error_body(response, &record);
    // An id was checked to be a header's value, or made as one.
    if let Ok(id) = HeaderValue::from_str(record.request_id()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    record.note(|facts| facts.status = Some(response.status().as_u16()));
    response.map(|body| holding(body, record))
}

/// Writes the body of an error, which [`ApiError`] leaves to whoever knows the request.
fn with_error_body(mut response: Response, record: &Record) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    record.note_error(&error);
    let mut headers = std::mem::take(response.headers_mut());
    // The length was that of no body.
    headers.remove(CONTENT_LENGTH);
    let mut response = (response.status(), Json(error.body(record.request_id()))).into_response();
    response.headers_mut().extend(headers);
    response
}

/// The client's own id if it is harmless in a log, else a new one.
fn request_id(request: &Request) -> String {
    let harmless = |id: &&str| {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        (1..=64).contains(&id.len()) && id.bytes().all(is_plain)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| random::id("req"), str::to_owned)
}

impl Drop for Shared {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut self.facts).into_inner().unwrap_or_else(PoisonError::into_inner);
        let (status, total) = (facts.status.unwrap_or(CLIENT_LEFT), self.started.elapsed());
        self.server.metrics().observe_request(self.method, &self.route, status, total);
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
        model = facts.model,
        prompt = facts.prompt,
        prompt_tokens = facts.prompt_tokens,
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
