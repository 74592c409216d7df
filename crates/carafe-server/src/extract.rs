//! From a request's parts to values, with errors that name the field at fault.
//!
//! - `strict`, `parameters`: readers of JSON and of queries, which refuse what is given twice
//! - `refusal`, `syntax`: their errors, in the words of the API
//! - `known`: the fields that there are, which the log may name

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, request};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::quote::quoted;
use refusal::Refusal;

mod known;
mod parameters;
mod refusal;
mod strict;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use known::known_field;

/// The most bytes of a JSON or text body.
pub(crate) const MAX_TEXT: usize = 4 << 20;

/// The most bytes of an image, its multipart frame included; the guest's own limit.
pub(crate) const MAX_IMAGE: usize = 20 << 20;

/// What is read and thrown away of a body that is too large: a client that is still sending would not see the answer otherwise.
const MAX_DISCARDED: usize = 64 << 20;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (kind, _) = content_type(request.headers());
        if kind != "application/json" {
            let message = format!("the body must be `application/json`, and `Content-Type` says {}", said(&kind));
            return Err(ApiError::UnsupportedMediaType { message });
        }
        let body = read(request, MAX_TEXT).await?;
        json(&body).map(Self)
    }
}

/// Reads the JSON of a body.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = strict::read(&mut json).and_then(|value| json.end().map(|()| value).map_err(Refusal::syntax));
    value.map_err(|refusal| refusal.into_error("the body", "field"))
}

/// The parameters behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        parameters::read(query).map(Self).map_err(|refusal| refusal.into_error("the query", "parameter"))
    }
}

/// The one name that is part of a path.
pub(crate) struct PathName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        // The router has matched the path; only a `%` that stands for no UTF-8 is left to go wrong.
        name.map(|Path(name)| Self(name))
            .map_err(|_| body_error(&format!("the path {} is not UTF-8", quoted(parts.uri.path()))))
    }
}

/// The media type of a body in lower case, and its parameters as they are; both empty if it is not said.
pub(crate) fn content_type(headers: &HeaderMap) -> (String, String) {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    (kind.trim().to_ascii_lowercase(), parameters.trim().to_owned())
}

/// A media type in an error.
pub(crate) fn said(kind: &str) -> String {
    if kind.is_empty() { "nothing".to_owned() } else { quoted(kind) }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { limit };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = announced.unwrap_or_default();
    // Who asks before sending, or announces more than would be thrown away, is told at once.
    if length > limit && (request.headers().contains_key(EXPECT) || length > MAX_DISCARDED) {
        return Err(too_large);
    }
    read_all(request.into_body(), limit).await?.ok_or(too_large)
}

/// A whole body, or nothing if it is larger than `limit`.
async fn read_all(body: Body, limit: usize) -> Result<Option<Bytes>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| body_error(&format!("the body cannot be read: {error}")))?;
        length = length.saturating_add(piece.len());
        if length <= limit {
            bytes.extend_from_slice(&piece);
        } else if length > MAX_DISCARDED {
            break;
        }
    }
    Ok((length <= limit).then(|| bytes.into()))
}

fn body_error(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: None, message: message.to_owned() }
}
