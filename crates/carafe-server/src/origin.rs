//! Other people's web pages.
//!
//! A browser sends a page's request to any server, this one included, and only keeps the answer from the page. That would let any page
//! on the web make a local server work. So a request that is made from another origin is refused, unless that origin is allowed; an
//! allowed one also gets the headers of CORS, so that its page may read the answer. Programs send no `Origin` and are not concerned.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::configuration::Origin;
use crate::error::ApiError;
use crate::server::Server;

/// Refuses what changes or computes something for a page that is neither the server's own nor allowed.
pub(crate) async fn check(State(server): State<Server>, request: Request, next: Next) -> Result<Response, ApiError> {
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let allowed = &server.configuration().cors_origins;
    match request.headers().get(header::ORIGIN) {
        Some(origin) if !harmless && !is_own(request.headers()) && !allowed.iter().any(|it| it.header() == origin) => {
            Err(ApiError::ForbiddenOrigin { origin: String::from_utf8_lossy(origin.as_bytes()).into_owned() })
        }
        _ => Ok(next.run(request).await),
    }
}

/// Whether the page comes from the host that the request goes to.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host_of = |origin: &'_ str| origin.split_once("://").map(|(_, host)| host.to_owned());
    text(header::ORIGIN).and_then(host_of).as_deref() == text(header::HOST)
}

/// CORS for the origins that are allowed.
pub(crate) fn cors(allowed: &[Origin]) -> CorsLayer {
    let origins = allowed.iter().map(|origin| origin.header().clone());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER, header::HeaderName::from_static("x-request-id")])
}
