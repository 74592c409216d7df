//! `POST /v1/chat/completions`.

use crate::error::ApiError;

/// Says that there is no chat: these models have no chat template.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "text", security((), ("key" = [])),
    responses((status = 400, description = "Always", body = crate::error::ErrorBody))
)]
pub(crate) async fn create() -> ApiError {
    let message = "these models have no chat template: they continue texts and do not converse; use `/v1/completions`";
    ApiError::unsupported("messages", message)
}
