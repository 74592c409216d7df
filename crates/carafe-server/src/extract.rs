//! From a request's parts to values, with errors that name the field at fault.
//!
//! - `strict`, `parameters`: readers of JSON and of queries, which refuse what is given twice
//! - `refusal`, `syntax`: their errors, in the words of the API

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request;
use serde::de::DeserializeOwned;

use crate::body::read_text;
use crate::error::ApiError;
use crate::media_type::{content_type, said};
use crate::quote::quoted;
use crate::server::Server;
use refusal::Refusal;

mod parameters;
mod refusal;
mod strict;
mod syntax;

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
        let body = read_text(server.body_memory(), request).await?;
        json(&body).map(Self)
    }
}

/// Reads the JSON of a body.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = strict::read(&mut json).and_then(|value| json.end().map(|()| value).map_err(Refusal::syntax));
    value.map_err(|refusal| refusal.into_error("the body", "field"))
}

/// The parameters behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, ApiError> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads the parameters of a query.
pub(crate) fn query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    parameters::read(query).map_err(|refusal| refusal.into_error("the query", "parameter"))
}

/// The one name that is part of a path.
pub(crate) struct PathName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        // The router has matched the path; only a `%` that stands for no UTF-8 is left to go wrong.
        name.map(|Path(name)| Self(name))
            .map_err(|_| ApiError::malformed(format!("the path {} is not UTF-8", quoted(parts.uri.path()))))
    }
}
