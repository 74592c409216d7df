//! The routes, and what stands before them.
//!
//! From the outside in: the record of the request, CORS, the check of its origin, its key (for the routes that compute), the handler.

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::openapi::{self, Document};
use crate::server::Server;
use crate::{catalogue, classify, completions, health, infer, keys, origin, page, record};

/// Everything that the server answers.
pub(crate) fn app(server: Server) -> Router {
    let (models, models_document) = model_routes(&server).split_for_parts();
    let (health, mut document) = health_routes().split_for_parts();
    document.merge(models_document);
    Router::new()
        .merge(models)
        .merge(health)
        .merge(openapi::routes(&document))
        .merge(page::routes())
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(server.clone(), origin::check))
        .layer(origin::cors(&server.configuration().cors_origins))
        .layer(map_response(guarded))
        .layer(from_fn_with_state(server.clone(), record::keep))
        .with_state(server)
}

/// What needs a key, where keys are asked for.
fn model_routes(server: &Server) -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(completions::create))
        .routes(routes!(completions::chat))
        .routes(routes!(catalogue::list))
        .routes(routes!(catalogue::show))
        .routes(routes!(classify::classify))
        .routes(routes!(infer::infer))
        .route_layer(from_fn_with_state(server.clone(), keys::require))
}

fn health_routes() -> OpenApiRouter<Server> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

async fn unknown_route(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::UnknownRoute { path: uri.path().to_owned() }
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::MethodNotAllowed { method: request.method().to_string(), path: request.uri().path().to_owned() }
}

/// No browser is to take an answer for something else than it says, nor to keep it unless it may.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
