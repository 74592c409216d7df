//! `POST /v1/completions`: continues texts.
//!
//! - `request`: the body, and what it asks for
//! - `response`: the answer, whole or in chunks; `logprobs`: its log-probabilities

use axum::Json;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::openai::{Checked, Head, stream};
use crate::openapi::RequestErrors;
use crate::service::{Caller, Generation};
use response::CompletionChunks;

mod logprobs;
mod request;
mod response;

pub(crate) use request::CompletionRequest;
pub(crate) use response::CompletionResponse;

/// Continues one or more texts.
///
/// With `stream` the answer is a stream of server-sent events, each `data: ` and a chunk of the
/// same shape, ended by `data: [DONE]`.
#[utoipa::path(
    post, path = "/v1/completions", tag = "text", security((), ("key" = [])),
    request_body = CompletionRequest,
    responses(
        (status = 200, content((CompletionResponse = "application/json"), (String = "text/event-stream"))),
        RequestErrors
    )
)]
pub(crate) async fn create(
    caller: Caller,
    crate::extract::Json(body): crate::extract::Json<Checked<CompletionRequest>>,
) -> Result<Response, ApiError> {
    let body = body.supported()?;
    let (stream, include_usage) = body.streaming()?;
    let logprobs = body.logprobs.is_some();
    let generation = Generation::start(&caller, body.into_generation(stream)?).await?;
    let head = Head::new("cmpl", "text_completion", generation.card());
    if stream {
        return Ok(stream::respond(generation, CompletionChunks { head, include_usage }, caller));
    }
    Ok(Json(CompletionResponse::whole(head, generation.gather().await?, logprobs)).into_response())
}
