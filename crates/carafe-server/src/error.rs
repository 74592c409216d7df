//! Every error that a client may meet, its status and its headers.
//!
//! An [`ApiError`] becomes a response without a body; `layers/record`, which knows the request's
//! id, writes the body, in OpenAI's `words`. In a stream the same body is an event. What only
//! concerns the operator stays in the log, and what the client sent stays out of it: see
//! [`ApiError::logged`]. `host` makes errors of those of the models.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::quote::quoted;
pub(crate) use words::ErrorBody;

mod host;
mod words;

/// A request that is not answered as its client wished.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Something in the request is not as it must be.
    #[error("{message}")]
    Invalid {
        /// The field, parameter or part at fault.
        param: Option<String>,
        code: Option<&'static str>,
        message: String,
    },
    #[error("an API key is needed, as `Authorization: Bearer KEY`, and the one given, if any, is not known here")]
    InvalidKey,
    #[error("pages of {} may not use this server; its option `--cors-origin` allows them", quoted(.origin))]
    ForbiddenOrigin { origin: String },
    #[error(
        "this server is not called {}; it answers to `localhost`, loopback addresses, and names that its option \
         `--allowed-host` gives it", quoted(.host)
    )]
    UnknownHost { host: String },
    #[error("{message}; there are: {known}")]
    UnknownModel { message: String, known: String },
    #[error("there is nothing at {}; {advice}", quoted(.path))]
    UnknownRoute { path: String, advice: String },
    #[error("{} is not possible at {}; the header `Allow` says what is", quoted(.method), quoted(.path))]
    MethodNotAllowed { method: String, path: String },
    #[error("the body is larger than {limit} bytes, the most that is taken here")]
    BodyTooLarge { limit: usize },
    #[error("{message}")]
    ImageTooLarge { message: String },
    #[error("{message}")]
    UnsupportedMediaType { message: String },
    #[error(
        "this request needs {wanted} of the model's {permits} permits, and fewer are free{}; try again a little later",
        if *.shared { " for this key" } else { "" }
    )]
    QueueFull {
        wanted: u32,
        permits: u32,
        /// Whether some permits are kept for other keys.
        shared: bool,
    },
    #[error("{message}")]
    ModelBusy { message: String },
    #[error(
        "this key's limit `sequences` is {limit}, of which {in_use} run or wait, and {wanted} more are asked for; \
         try again when some of them have ended"
    )]
    SequenceLimit { limit: u32, in_use: u32, wanted: u32 },
    #[error(
        "this key's limit `tokens_per_minute` is {limit}, and {used} are used, since requests that run are not cut off; \
         try again in {} s", whole_seconds(*.wait)
    )]
    TokenLimit {
        limit: u32,
        /// More than the limit where requests that ran have overdrawn it.
        used: u64,
        /// Until there is a token again.
        wait: Duration,
    },
    #[error("`Content-Encoding` may be `{accepted}` alone; send the body so, or as it is")]
    UnsupportedContentEncoding { accepted: &'static str },
    #[error("{message}")]
    UnsupportedHeader { status: StatusCode, message: String },
    #[error(
        "{received} bytes of the body came in {} s; a sender that brings fewer than {least} in that time is cut off",
        .window.as_secs_f64()
    )]
    BodyTooSlow { received: usize, least: usize, window: Duration },
    #[error("the {mebibytes} MiB of `--body-memory` are taken by other requests' bodies; try again a little later")]
    BodyMemoryFull { mebibytes: u32 },
    #[error(
        "every connection is taken, and this one may only ask for `/healthz`, `/readyz`, `/health` and `/metrics`; \
         try again"
    )]
    ConnectionsFull,
    #[error("{limit} bytes of the stream wait for a client that does not read them; its sequences were cancelled")]
    StreamNotRead { limit: usize },
    #[error("the models are still being loaded; `/readyz` tells when they are")]
    NotReady,
    #[error("the server is shutting down")]
    Draining,
    #[error("the request took longer than the {} s that one may take here", .limit.as_secs_f64())]
    Timeout { limit: Duration },
    #[error("the model failed over this request and ended it; others are not affected. The server's log says why")]
    ModelFailed { detail: String },
    #[error(
        "the model gave scores that are no numbers, and would again for this request; others are not affected. The server's log says where"
    )]
    InvalidLogits { detail: String },
    #[error("the sandbox failed over this request and was replaced; others go on. The server's log says why")]
    SandboxFailed { detail: String },
    #[error("the server failed; its log has the details under this request's id")]
    Internal { detail: String },
}

impl ApiError {
    /// A field that is not as it must be.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::Invalid { param: Some(param.to_owned()), code: None, message: message.into() }
    }

    /// A request, or a part of it without a name, that cannot be read.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Invalid { param: None, code: None, message: message.into() }
    }

    /// Something that this server does not do.
    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::Invalid { param: Some(param.to_owned()), code: Some("unsupported"), message: message.into() }
    }

    /// The same in the words of a protocol that calls some of the service's parameters otherwise:
    /// `names` are pairs of the service's name and its own. What is about one of its own fields
    /// alone stays as it is.
    pub(crate) fn renamed(self, names: &[(&str, &str)]) -> Self {
        let Self::Invalid { param: Some(param), code, message } = self else { return self };
        if names.iter().any(|(_, own)| param.starts_with(own)) && !names.iter().any(|(name, _)| param == *name) {
            return Self::Invalid { param: Some(param), code, message };
        }
        let own = names.iter().find(|(name, _)| param == *name).map_or(&*param, |(_, own)| own).to_owned();
        let in_words =
            |message: String, (name, own): &(&str, &str)| message.replace(&format!("`{name}`"), &format!("`{own}`"));
        Self::Invalid { param: Some(own), code, message: names.iter().fold(message, in_words) }
    }

    /// The status of a response that is this error.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::InvalidKey => StatusCode::UNAUTHORIZED,
            Self::ForbiddenOrigin { .. } => StatusCode::FORBIDDEN,
            Self::UnknownHost { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::UnknownModel { .. } | Self::UnknownRoute { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } | Self::ImageTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnsupportedContentEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnsupportedHeader { status, .. } => *status,
            Self::BodyTooSlow { .. } | Self::StreamNotRead { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::QueueFull { .. } | Self::ModelBusy { .. } | Self::SequenceLimit { .. } | Self::TokenLimit { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::BodyMemoryFull { .. } | Self::ConnectionsFull | Self::NotReady | Self::Draining => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::ModelFailed { .. }
            | Self::InvalidLogits { .. }
            | Self::SandboxFailed { .. }
            | Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error as the log names it: by its code, or its family. The message is not in it, since
    /// it repeats what the client sent.
    pub(crate) fn logged(&self) -> String {
        let name = self.code().unwrap_or(self.kind());
        match self {
            Self::ModelFailed { detail }
            | Self::InvalidLogits { detail }
            | Self::SandboxFailed { detail }
            | Self::Internal { detail } => format!("{name}: {detail}"),
            Self::SequenceLimit { .. } => format!("{name}: sequences"),
            Self::TokenLimit { .. } => format!("{name}: tokens_per_minute"),
            _ => name.to_owned(),
        }
    }

    /// Headers that tell a client what to do next.
    fn headers(&self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::QueueFull { .. }
            | Self::ModelBusy { .. }
            | Self::SequenceLimit { .. }
            | Self::BodyMemoryFull { .. }
            | Self::ConnectionsFull
            | Self::NotReady
            | Self::Draining => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::TokenLimit { wait, .. } => Some((header::RETRY_AFTER, whole_seconds(*wait).into())),
            Self::UnsupportedContentEncoding { accepted } => {
                Some((header::ACCEPT_ENCODING, HeaderValue::from_static(accepted)))
            }
            // OpenAI's clients repeat a request that timed out or failed, unless this header tells
            // them that it would again.
            Self::Timeout { .. } | Self::InvalidLogits { .. } => {
                Some((header::HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false")))
            }
            Self::InvalidKey => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            _ => None,
        }
    }
}

/// A wait in whole seconds, rounded up, since what comes a moment too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.headers_mut().extend(self.headers());
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(wait: Duration) -> ApiError {
        ApiError::TokenLimit { limit: 60, used: 90, wait }
    }

    #[test]
    fn a_key_beyond_its_limit_is_told_which_and_when_to_come_again() {
        let tokens = limit(Duration::from_millis(30_001));
        let sequences = ApiError::SequenceLimit { limit: 3, in_use: 2, wanted: 2 };
        let cases = [
            (
                tokens,
                "31",
                "this key's limit `tokens_per_minute` is 60, and 90 are used, since requests that run are not cut off; try again in 31 s",
            ),
            (
                sequences,
                "1",
                "this key's limit `sequences` is 3, of which 2 run or wait, and 2 more are asked for; try again when some of them have ended",
            ),
        ];
        for (error, retry_after, message) in cases {
            let body = serde_json::to_value(error.body("req-1")).expect("JSON");
            let expected = serde_json::json!({
                "message": message, "type": "rate_limit_error", "param": null, "code": "rate_limit_exceeded",
                "request_id": "req-1"
            });
            assert_eq!(body["error"], expected);
            let response = error.into_response();
            assert_eq!(
                (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
                (429, &retry_after.parse().expect("a value"))
            );
        }
    }

    #[test]
    fn a_protocol_names_the_parameters_of_an_error_as_its_own_are_called() {
        let names = [("prompt", "messages"), ("max_tokens", "max_completion_tokens")];
        let exceeded = "`prompt` has 300 and `max_tokens` is 5; no `max_tokens` fits, shorten `prompt`";
        let renamed = ApiError::invalid("prompt", exceeded).renamed(&names);
        assert_eq!(renamed.param(), Some("messages"));
        let words =
            "`messages` has 300 and `max_completion_tokens` is 5; no `max_completion_tokens` fits, shorten `messages`";
        assert_eq!(renamed.to_string(), words);
        let least =
            ApiError::invalid("min_tokens", "`min_tokens` is 9; it must be at most `max_tokens`, 5").renamed(&names);
        assert_eq!(least.to_string(), "`min_tokens` is 9; it must be at most `max_completion_tokens`, 5");
        let own = ApiError::invalid("messages[1].content", "use `/v1/completions` and `prompt`").renamed(&names);
        assert_eq!(
            (own.param(), own.to_string().as_str()),
            (Some("messages[1].content"), "use `/v1/completions` and `prompt`")
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (milliseconds, seconds) in [(1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds, "{milliseconds}");
        }
    }
}
