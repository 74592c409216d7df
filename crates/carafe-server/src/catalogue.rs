//! `/v1/models`: what is served, a card for each model.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::card::ModelCard;
use crate::error::ApiError;
use crate::extract::PathName;
use crate::openapi::CatalogueErrors;
use crate::server::Server;

/// Every model that is served.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    object: &'static str,
    data: Vec<ModelCard>,
}

/// Lists the models.
#[utoipa::path(
    get, path = "/v1/models", tag = "models", security((), ("key" = [])),
    responses((status = 200, body = ModelList), CatalogueErrors)
)]
pub(crate) async fn list(State(server): State<Server>) -> Result<Json<ModelList>, ApiError> {
    let data = server.models()?.cards().cloned().collect();
    Ok(Json(ModelList { object: "list", data }))
}

/// Shows one model.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models", security((), ("key" = [])),
    params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, body = ModelCard), CatalogueErrors)
)]
pub(crate) async fn show(State(server): State<Server>, PathName(id): PathName) -> Result<Json<ModelCard>, ApiError> {
    let models = server.models()?;
    let card = models.cards().find(|card| card.id == id);
    card.cloned().map(Json).ok_or_else(|| models.unknown(&id))
}
