//! OpenAI's words for an error: its family, its name, the parameter at fault, and the body that
//! holds them.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;

/// An error as OpenAI's API shapes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    /// For people: what was wrong, what was expected, what to do.
    message: String,
    /// The family of the error.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: String,
    /// The field or parameter at fault.
    param: Option<String>,
    /// The error's name, for programs.
    code: Option<String>,
    /// Also in the header `x-request-id` and in the server's log.
    request_id: String,
}

impl ApiError {
    /// The error as it is sent, in the answer to the request of this id.
    pub(crate) fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: ErrorObject {
                message: self.to_string(),
                kind: self.kind().to_owned(),
                param: self.param().map(str::to_owned),
                code: self.code().map(str::to_owned),
                request_id: request_id.to_owned(),
            },
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::InvalidKey => "authentication_error",
            Self::ForbiddenOrigin { .. } => "permission_error",
            error if error.status() == StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            error if error.status().is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The field, parameter or part at fault; it may be a name that the client made up.
    pub(crate) fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } => param.as_deref(),
            Self::UnknownModel { .. } => Some("model"),
            Self::ImageTooLarge { .. } => Some("image"),
            _ => None,
        }
    }

    pub(super) fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Invalid { code, .. } => return *code,
            Self::InvalidKey => "invalid_api_key",
            Self::ForbiddenOrigin { .. } => "forbidden_origin",
            Self::UnknownHost { .. } => "unknown_host",
            Self::UnknownModel { .. } => "model_not_found",
            Self::UnknownRoute { .. } => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::ImageTooLarge { .. } => "image_too_large",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::QueueFull { .. } | Self::ModelBusy { .. } => "queue_full",
            Self::SequenceLimit { .. } | Self::TokenLimit { .. } => "rate_limit_exceeded",
            Self::UnsupportedContentEncoding { .. } => "unsupported_content_encoding",
            Self::UnsupportedHeader { .. } => "unsupported_header",
            Self::BodyTooSlow { .. } => "body_too_slow",
            Self::BodyMemoryFull { .. } => "body_memory_full",
            Self::ConnectionsFull => "connections_full",
            Self::StreamNotRead { .. } => "stream_not_read",
            Self::NotReady => "not_ready",
            Self::Draining => "draining",
            Self::Timeout { .. } => "timeout",
            Self::ModelFailed { .. } => "model_failed",
            Self::InvalidLogits { .. } => "invalid_logits",
            Self::SandboxFailed { .. } => "sandbox_failed",
            Self::Internal { .. } => "internal",
        })
    }
}
