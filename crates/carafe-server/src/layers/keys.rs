//! Asks for an API key, where the server is given some.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;
use crate::server::Server;

/// Lets a request pass if no key is asked for, or if it has one: `Authorization: Bearer KEY`.
pub(crate) async fn require(State(server): State<Server>, request: Request, next: Next) -> Result<Response, ApiError> {
    let keys = &server.configuration().api_keys;
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if keys.count() > 0 && !key.is_some_and(|(_, key)| keys.accepts(key.trim())) {
        return Err(ApiError::InvalidKey);
    }
    Ok(next.run(request).await)
}
