//! What of a request's head is refused, because passing over it would change what the client asked
//! for.
//!
//! Headers that are hints (`Accept`, `Range`, `If-None-Match`, `Upgrade`, `Idempotency-Key`) are
//! ignored; docs/http-api.md lists what is honoured, refused and ignored. `Content-Encoding` is the
//! affair of `body/encoding`.

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HOST, IF_MATCH, IF_UNMODIFIED_SINCE, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// Marks a request of a connection that only probes may use.
#[derive(Clone, Copy)]
pub(crate) struct ProbesOnly;

/// What a probe asks for.
const PROBES: [&str; 4] = ["/health", "/healthz", "/readyz", "/metrics"];

/// Headers that mean one thing, and so may be there once.
const SINGLE: [HeaderName; 5] = [AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, ORIGIN];

/// Headers by which some servers take another method than the request's.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// Refuses requests whose head asks for what is not done here, and those that a full server does
/// not take.
pub(crate) async fn check(request: Request, next: Next) -> Result<Response, ApiError> {
    if request.extensions().get::<ProbesOnly>().is_some() && !PROBES.contains(&request.uri().path()) {
        return Err(ApiError::ConnectionsFull);
    }
    check_headers(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

fn check_headers(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |status, message: String| Err(ApiError::UnsupportedHeader { status, message });
    if let Some(name) = SINGLE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        return refuse(StatusCode::BAD_REQUEST, format!("the header `{name}` is there twice; expected once at most"));
    }
    if !is_each(headers, &TRANSFER_ENCODING, "chunked") {
        let message = "`Transfer-Encoding` may be `chunked` alone; compress with `Content-Encoding: gzip`";
        return refuse(StatusCode::NOT_IMPLEMENTED, message.to_owned());
    }
    if !is_each(headers, &EXPECT, "100-continue") {
        let message = "`Expect` may be `100-continue` alone";
        return refuse(StatusCode::EXPECTATION_FAILED, message.to_owned());
    }
    if headers.contains_key(CONTENT_RANGE) {
        let message = "`Content-Range` is not taken: a request's body must be whole";
        return refuse(StatusCode::BAD_REQUEST, message.to_owned());
    }
    if let Some(name) = METHOD_OVERRIDES.iter().find(|name| headers.contains_key(*name)) {
        return refuse(StatusCode::BAD_REQUEST, format!("`{name}` is not taken; send the request with that method"));
    }
    let condition = [IF_MATCH, IF_UNMODIFIED_SINCE].into_iter().find(|name| headers.contains_key(name));
    match condition {
        Some(name) if !method.is_safe() => {
            let message = format!("the condition `{name}` does not hold: what is computed here has no version");
            refuse(StatusCode::PRECONDITION_FAILED, message)
        }
        _ => Ok(()),
    }
}

/// Whether every value of a header is this one.
fn is_each(headers: &HeaderMap, name: &HeaderName, expected: &str) -> bool {
    headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// The status that a head is refused with, or 0.
    fn refused(method: &Method, lines: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        check_headers(method, &headers).map_or_else(|error| error.status().as_u16(), |()| 0)
    }

    #[test]
    fn what_would_change_the_meaning_of_a_request_is_refused() {
        let cases = [
            ("transfer-encoding", "gzip, chunked", 501),
            ("transfer-encoding", "Chunked", 0),
            ("expect", "200-ok", 417),
            ("expect", "100-Continue", 0),
            ("content-range", "bytes 0-9/20", 400),
            ("x-http-method-override", "GET", 400),
            ("if-match", "\"a\"", 412),
            ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
            ("if-none-match", "\"a\"", 0),
            ("range", "bytes=0-9", 0),
            ("upgrade", "websocket", 0),
            ("accept", "text/html", 0),
            ("idempotency-key", "1", 0),
        ];
        for (name, value, status) in cases {
            assert_eq!(refused(&Method::POST, &[(name, value)]), status, "{name}: {value}");
        }
        assert_eq!(refused(&Method::GET, &[("if-match", "*")]), 0, "a page is read whatever its version");
    }

    #[test]
    fn what_may_be_there_once_is_refused_twice() {
        for name in ["authorization", "content-type", "host", "origin"] {
            assert_eq!(refused(&Method::POST, &[(name, "a"), (name, "a")]), 400, "{name}");
            assert_eq!(refused(&Method::POST, &[(name, "a")]), 0, "{name}");
        }
    }
}
