//! `POST /infer`: the shortcut. A text or an image goes in as it is, and what the body is says
//! what is done with it.
#![expect(unused_qualifications, reason = "utoipa's code for parameters")]

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use carafe_host::text::Prompt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::body::read_text;
use crate::classify::{self, ClassifyParameters, ClassifyResponse};
use crate::error::ApiError;
use crate::extract::Query;
use crate::media_type::{content_type, said};
use crate::openai::Usage;
use crate::openapi::RequestErrors;
use crate::server::Server;
use crate::service::{Caller, Generation, GenerationRequest, RunReport, finish_name};

/// Tokens that a text is continued by if it is not said.
const DEFAULT_MAX_TOKENS: u32 = 64;

/// The few things that can be said besides the body.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InferParameters {
    /// The model; the first of the task if it is not named.
    model: Option<String>,
    /// Text: how many tokens to generate at most; 64, or what the context has room for, if it is
    /// not said.
    #[param(minimum = 0)]
    max_tokens: Option<u32>,
    /// Image: how many labels to answer; 5 if it is not said.
    #[param(minimum = 1)]
    top: Option<u32>,
}

/// The continuation of a text.
#[derive(Serialize, ToSchema)]
pub(crate) struct InferTextResponse {
    model: String,
    text: String,
    /// `stop` or `length`.
    finish_reason: Option<&'static str>,
    usage: Usage,
    carafe: RunReport,
}

/// A text's continuation or an image's labels.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described, never made")]
enum InferResponse {
    Text(InferTextResponse),
    Image(ClassifyResponse),
}

/// Continues a text or classifies an image, whichever the body is.
#[utoipa::path(
    post, path = "/infer", tag = "server", security((), ("key" = [])),
    params(InferParameters),
    request_body(content(
        (String = "text/plain"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/bmp"),
        (Vec<u8> = "application/octet-stream")
    )),
    responses((status = 200, body = InferResponse), RequestErrors)
)]
pub(crate) async fn infer(
    State(server): State<Server>,
    caller: Caller,
    Query(parameters): Query<InferParameters>,
    request: Request,
) -> Result<Response, ApiError> {
    let (kind, _) = content_type(request.headers());
    match kind.as_str() {
        "text/plain" => {
            let request = generation(parameters, text(&server, request).await?);
            Ok(Json(InferTextResponse::of(Generation::start(&caller, request).await?).await?).into_response())
        }
        kind if classify::is_image(kind) => {
            let parameters = ClassifyParameters::new(parameters.model, parameters.top);
            let answer = classify::run(&server, caller, parameters, request).await;
            Ok(Json(answer.map_err(|error| with_text_type(error, kind))?).into_response())
        }
        other => {
            let message =
                format!("a text must be `text/plain`, an image JPEG, PNG or BMP; `Content-Type` says {}", said(other));
            Err(ApiError::UnsupportedMediaType { message })
        }
    }
}

async fn text(server: &Server, request: Request) -> Result<String, ApiError> {
    let body = read_text(server.body_memory(), request).await?;
    str::from_utf8(body.as_ref()).map(str::to_owned).map_err(|error| {
        let position = error.valid_up_to();
        ApiError::invalid("prompt", format!("the text is not UTF-8: byte {position} begins no character"))
    })
}

fn generation(parameters: InferParameters, text: String) -> GenerationRequest {
    GenerationRequest {
        model: parameters.model,
        prompts: vec![(!text.is_empty()).then_some(Prompt::text(text))],
        max_tokens: parameters.max_tokens,
        default_max_tokens: DEFAULT_MAX_TOKENS,
        ..GenerationRequest::default()
    }
}

impl InferTextResponse {
    async fn of(generation: Generation) -> Result<Self, ApiError> {
        let model = generation.card().id.clone();
        let generated = generation.gather().await?;
        let choice = generated.choices.into_iter().next().unwrap_or_default();
        Ok(Self {
            model,
            text: choice.text,
            finish_reason: choice.finish.map(finish_name),
            usage: generated.usage.into(),
            carafe: generated.report,
        })
    }
}

/// Adds how a text is sent, where the type left open whether the body is one.
fn with_text_type(error: ApiError, kind: &str) -> ApiError {
    match error {
        ApiError::UnsupportedMediaType { message } if classify::is_silent(kind) => {
            ApiError::UnsupportedMediaType { message: format!("{message}, or send a text as `text/plain`") }
        }
        other => other,
    }
}
