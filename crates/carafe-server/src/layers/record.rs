//! Gives each request an id, a deadline and a record, and writes the bodies of errors.
//!
//! It stands before everything that may refuse a request, so that a refusal has them too.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::holding::holding;
use crate::random;
use crate::record::{Record, Recorder};

/// The header with a request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Lets a request through to its handler, with a record that is written at its end.
pub(crate) async fn keep(State(recorder): State<Recorder>, mut request: Request, next: Next) -> Response {
    let server = &recorder.server;
    let deadline = Deadline::starting_now(server.configuration().request_timeout, server.phase());
    let request_id = request_id(&request);
    let record = recorder.begin(&request, request_id);
    request.extensions_mut().insert(record.clone());
    let mut of_answer = deadline.of_answer();
    request.extensions_mut().insert(deadline);
    let response = of_answer.bound(next.run(request)).await.unwrap_or_else(IntoResponse::into_response);
    let mut response = with_error_body(response, &record);
    // An id was checked to be a header's value, or made as one.
    if let Ok(id) = HeaderValue::from_str(record.request_id()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    record.note(|facts| facts.status = Some(response.status().as_u16()));
    response.map(|body| holding(body, record))
}

/// Writes the body of an error, which [`ApiError`] leaves to this layer, since it knows the
/// request.
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
