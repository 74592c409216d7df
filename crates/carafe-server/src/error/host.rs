//! Errors of the models and their guests, as a client meets them. What a guest says may repeat what
//! the client sent, at any length, so it is quoted.

use carafe_host::image::ImageError;
use carafe_host::text::{Failure, FailureKind, RequestError, RequestErrorCode};
use carafe_tensor::error_chain;

use super::ApiError;
use crate::quote;

impl From<carafe_host::Error> for ApiError {
    fn from(error: carafe_host::Error) -> Self {
        use carafe_host::Error;
        match error {
            Error::Request(refusal) => refusal.into(),
            Error::Image(refusal) => refusal.into(),
            Error::Trap(detail) => Self::SandboxFailed { detail },
            other => Self::Internal { detail: error_chain(&other) },
        }
    }
}

impl From<Failure> for ApiError {
    fn from(Failure { kind, message: detail }: Failure) -> Self {
        match kind {
            FailureKind::ForwardPass => Self::ModelFailed { detail },
            FailureKind::Logits => Self::InvalidLogits { detail },
            FailureKind::Guest => Self::SandboxFailed { detail },
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(RequestError { code, parameter: param, message }: RequestError) -> Self {
        let message = quote::message(&message);
        match code {
            RequestErrorCode::Invalid => Self::Invalid { param, code: None, message },
            RequestErrorCode::ContextLengthExceeded => {
                Self::Invalid { param, code: Some("context_length_exceeded"), message }
            }
            RequestErrorCode::QueueFull => Self::ModelBusy { message },
            RequestErrorCode::InvalidResume => Self::Internal { detail: message },
            RequestErrorCode::TemplateFailed => Self::ModelFailed { detail: message },
        }
    }
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::InvalidImage(message) => Self::invalid("image", quote::message(&message)),
            ImageError::TooLarge(message) => Self::ImageTooLarge { message: quote::message(&message) },
            ImageError::Unsupported(message) => Self::UnsupportedMediaType { message: quote::message(&message) },
            ImageError::InvalidArgument(message) => Self::invalid("top", quote::message(&message)),
            ImageError::Model(detail) => Self::ModelFailed { detail },
        }
    }
}
