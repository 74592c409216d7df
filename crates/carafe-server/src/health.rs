//! Whether the server lives, whether it is ready, and its figures.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
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

/// The server's figures, for Prometheus: `docs/metrics.md` explains each.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
pub(crate) async fn metrics(State(server): State<Server>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPEN_METRICS)], server.metrics().text(server.loaded().map(AsRef::as_ref))).into_response()
}
