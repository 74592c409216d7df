//! `POST /v1/chat/completions`: answers conversations.
//!
//! - `request`: the body, and what it asks for
//! - `response`: the answer; `chunks`: the same as a stream; `logprobs`: its log-probabilities
//!
//! The conversation goes to the sandbox as it came: there the model's chat template makes a prompt
//! of it, and refuses what is wrong with a message by its path (`messages[1].content`).

use axum::Json;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::openai::{Checked, Head, stream};
use crate::openapi::RequestErrors;
use crate::service::{Caller, Generation};
use chunks::ChatChunks;
use response::{ChatChunk, ChatResponse};

mod chunks;
mod logprobs;
mod request;
mod response;

pub(crate) use request::ChatRequest;

/// Answers a conversation.
///
/// With `stream` the answer is a stream of server-sent events, each `data: ` and a chunk, ended by
/// `data: [DONE]`.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "text", security((), ("key" = [])),
    request_body = ChatRequest,
    responses(
        (status = 200, content((ChatResponse = "application/json"), (ChatChunk = "text/event-stream"))),
        RequestErrors
    )
)]
pub(crate) async fn create(
    caller: Caller,
    crate::extract::Json(body): crate::extract::Json<Checked<ChatRequest>>,
) -> Result<Response, ApiError> {
    let body = body.supported()?;
    let names = body.names();
    answer(caller, body).await.map_err(|error| error.renamed(&names))
}

/// Answers in the service's words where something is wrong.
async fn answer(caller: Caller, body: ChatRequest) -> Result<Response, ApiError> {
    let (stream, include_usage) = body.streaming()?;
    let logprobs = body.has_logprobs()?;
    let default_max_tokens = caller.server.configuration().default_max_tokens;
    let generation = Generation::start(&caller, body.into_generation(default_max_tokens)?).await?;
    let object = if stream { "chat.completion.chunk" } else { "chat.completion" };
    let head = Head::new("chatcmpl", object, generation.card());
    if stream {
        return Ok(stream::respond(generation, ChatChunks::new(head, include_usage, logprobs), caller));
    }
    Ok(Json(ChatResponse::whole(head, generation.gather().await?, logprobs)).into_response())
}
