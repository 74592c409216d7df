//! From a request's parts to values, with errors that name the field at fault.
//!
//! - `strict`, `parameters`: readers of JSON and of queries, which refuse what is given twice
//! - `refusal`, `syntax`: their errors, in the words of the API
//! - `known`: the fields that there are, which the log may name

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, request};
use serde::de::DeserializeOwned;

use crate::body::read_text;
use crate::error::ApiError;
use crate::quote::quoted;
use crate::server::Server;
use refusal::Refusal;

mod known;
mod parameters;
mod refusal;
mod strict;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use known::known_field;

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

/// What is wrong with a body as a whole.
pub(crate) fn body_error(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: None, message: message.to_owned() }
}
