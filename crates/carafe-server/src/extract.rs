//! From a request's parts to values, with errors that name the field at fault.

use std::fmt::Display;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, request};
use serde::de::DeserializeOwned;

use crate::body::read_text;
use crate::error::ApiError;
use crate::server::Server;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Server> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, ApiError> {
        let (kind, _) = content_type(request.headers());
        if kind != "application/json" {
            let message = format!("the body must be `application/json`, and `Content-Type` says {}", said(&kind));
            return Err(ApiError::UnsupportedMediaType { message });
        }
        let body = read_text(server, request).await?;
        let mut json = serde_json::Deserializer::from_slice(body.as_ref());
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

/// What is wrong with a body as a whole.
pub(crate) fn body_error(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: None, message: message.to_owned() }
}
