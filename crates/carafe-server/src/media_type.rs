//! Media types as `Content-Type` gives them, and as errors repeat them.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use crate::quote::quoted;

/// The media type of a body in lower case, and its parameters as they are; both empty if it is not
/// said.
pub(crate) fn content_type(headers: &HeaderMap) -> (String, String) {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    (kind.trim().to_ascii_lowercase(), parameters.trim().to_owned())
}

/// A media type in an error.
pub(crate) fn said(kind: &str) -> String {
    if kind.is_empty() { "nothing".to_owned() } else { quoted(kind) }
}
