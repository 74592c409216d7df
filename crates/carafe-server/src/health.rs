//! Whether the server lives, whether it is ready, and its figures.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::openapi::ServerErrors;
use crate::server::Server;

/// The state of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` of a server that lives, `ready` of one that serves.
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether the process lives; says nothing of the models.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether every model is loaded and has computed once, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "server", responses((status = 200, body = Health), ServerErrors))]
pub(crate) async fn readyz(State(server): State<Server>) -> Result<Json<Health>, ApiError> {
    server.check_ready().map(|()| Json(Health { status: "ready" }))
}

/// As `/readyz`, at the path that clients of vLLM and llama.cpp's server ask.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = Health), ServerErrors))]
pub(crate) async fn health(State(server): State<Server>) -> Result<Json<Health>, ApiError> {
    readyz(State(server)).await
}

/// The server's version.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// Carafe's own; `/v1/models` has OpenVINO's.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Which Carafe this is.
#[utoipa::path(
    get, path = "/version", tag = "server", security((), ("key" = [])),
    responses((status = 200, body = Version), (status = 401, description = "Keys are asked for", body = ErrorBody))
)]
pub(crate) async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION") })
}

/// The server's figures, for Prometheus: `docs/metrics.md` explains each.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
pub(crate) async fn metrics(State(server): State<Server>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // Models that are not loaded yet have no figures.
    let figures = server.loaded().into_iter().flat_map(|models| models.figures());
    ([(CONTENT_TYPE, OPEN_METRICS)], server.metrics().text(figures)).into_response()
}
