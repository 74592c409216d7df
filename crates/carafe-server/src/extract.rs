//! From a request's parts to values, with errors that name the field at fault.

use std::fmt::Display;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, request};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

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
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| invalid(&error))?;
        json.end().map_err(|error| body_error(&format!("the body goes on after its JSON: {error}")))?;
        Ok(Self(value))
    }
}

/// The parameters behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let parser = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        Ok(Self(serde_path_to_error::deserialize(parser).map_err(|error| invalid(&error))?))
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
    if kind.is_empty() { "nothing".to_owned() } else { format!("`{kind}`") }
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

/// Names the field where reading failed.
fn invalid(error: &serde_path_to_error::Error<impl Display>) -> ApiError {
    let (path, message) = (error.path().to_string(), error.inner().to_string());
    if path == "." {
        // Syntax errors, and fields that are missing; of the latter serde names the field.
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
        let param = missing.map(|(field, _)| field.to_owned());
        return ApiError::Invalid { param, code: None, message: format!("the request cannot be read: {message}") };
    }
    if message.starts_with("unknown field") {
        return ApiError::Invalid { param: Some(path), code: Some("unknown_field"), message };
    }
    let message = format!("`{path}` is not as it must be: {message}");
    ApiError::Invalid { param: Some(path), code: None, message }
}

fn body_error(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: None, message: message.to_owned() }
}
