//! `POST /v1/completions`: continues texts.
//!
//! - `request`: the body; `fields`: its fields without effect; `reading`: from JSON to it; `plan`:
//!   the body checked, as sequences for the model
//! - `sequences`: the sequences at work
//! - `choice`, `logprobs`: from events to parts of an answer
//! - `answer`, `stream`: the answer whole, and token by token (`backlog`: what waits for its
//!   client); `response`: its fields

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::openapi::RequestErrors;
use crate::record::Record;
use crate::server::Server;
use crate::tenant::Tenant;
use plan::Plan;
use response::Head;
use sequences::Sequences;

mod answer;
mod backlog;
mod choice;
mod fields;
mod logprobs;
mod plan;
mod reading;
mod request;
mod response;
mod sequences;
mod stream;

pub(crate) use fields::field_names;
pub(crate) use request::{CompletionRequest, PromptField};
pub(crate) use response::{CompletionResponse, RunReport, Usage};

/// Tokens to generate if a request does not say how many; OpenAI's number.
const DEFAULT_MAX_TOKENS: u32 = 16;

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
    State(server): State<Server>,
    Extension(record): Extension<Record>,
    Extension(deadline): Extension<Deadline>,
    Extension(tenant): Extension<Tenant>,
    crate::extract::Json(body): crate::extract::Json<CompletionRequest>,
) -> Result<Response, ApiError> {
    let Started { sequences, plan, head } =
        start(&server, &record, &deadline, tenant, body, DEFAULT_MAX_TOKENS).await?;
    if plan.stream {
        return Ok(stream::respond(sequences, &plan, head, record));
    }
    Ok(Json(answer::gather(sequences, &plan, head).await?).into_response())
}

/// Continues a text, by up to `default_max_tokens` if the body does not say how far, and waits for
/// the whole of it.
pub(crate) async fn complete(
    server: &Server,
    record: &Record,
    deadline: &Deadline,
    tenant: Tenant,
    body: CompletionRequest,
    default_max_tokens: u32,
) -> Result<CompletionResponse, ApiError> {
    let Started { sequences, plan, head } = start(server, record, deadline, tenant, body, default_max_tokens).await?;
    answer::gather(sequences, &plan, head).await
}

/// A request that the model has taken.
struct Started {
    sequences: Sequences,
    plan: Plan,
    head: Head,
}

async fn start(
    server: &Server,
    record: &Record,
    deadline: &Deadline,
    tenant: Tenant,
    body: CompletionRequest,
    default_max_tokens: u32,
) -> Result<Started, ApiError> {
    let served = server.models()?.text(body.model.as_deref())?;
    let plan = Plan::new(body, served, &tenant, default_max_tokens)?;
    let prompts = server.configuration().log_prompts.then(|| plan.prompts());
    record.note(|facts| {
        facts.model = Some(served.card.id.clone());
        facts.prompt = prompts;
    });
    let sequences = Sequences::start(server, served, &plan, record.clone(), deadline.clone(), tenant).await?;
    Ok(Started { sequences, plan, head: Head::new(&served.card) })
}

/// Says that there is no chat: these models have no chat template.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "text", security((), ("key" = [])),
    responses((status = 400, description = "Always", body = crate::error::ErrorBody))
)]
pub(crate) async fn chat() -> ApiError {
    let message = "these models have no chat template: they continue texts and do not converse; use `/v1/completions`";
    ApiError::unsupported("messages", message)
}
