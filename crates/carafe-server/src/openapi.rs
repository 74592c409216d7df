//! `/openapi.json`: the API described for programs. Each handler describes itself; here is what
//! they share.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};

use crate::error::ErrorBody;
use crate::server::Server;

/// The description's head.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Carafe",
        description = "OpenVINO models from inside a WebAssembly sandbox: OpenAI's chat and completions APIs, and image classification."
    ),
    tags(
        (name = "text", description = "Text generation"),
        (name = "images", description = "Image classification"),
        (name = "models", description = "What is served"),
        (name = "server", description = "The server itself")
    ),
    modifiers(&BearerKey)
)]
pub(crate) struct Document;

/// Keys are asked for only where the server is given some, so that none is an alternative.
struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("key", scheme);
    }
}

/// The route of the description.
pub(crate) fn routes(document: &utoipa::openapi::OpenApi) -> Router<Server> {
    let json = serde_json::to_string(document).unwrap_or_default();
    let answer = move || {
        let json = json.clone();
        async move { ([("content-type", "application/json")], json).into_response() }
    };
    Router::new().route("/openapi.json", get(answer))
}

/// Errors of every route that computes.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made")]
pub(crate) enum RequestErrors {
    /// A field is not as it must be; `param` names it.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// Keys are asked for, and none of them was given.
    #[response(status = 401)]
    InvalidKey(ErrorBody),
    /// The request comes from another web page that is not allowed.
    #[response(status = 403)]
    ForbiddenOrigin(ErrorBody),
    /// There is no such model.
    #[response(status = 404)]
    UnknownModel(ErrorBody),
    /// The body came too slowly.
    #[response(status = 408)]
    BodyTooSlow(ErrorBody),
    /// A condition (`If-Match`) that cannot hold.
    #[response(status = 412)]
    PreconditionFailed(ErrorBody),
    /// The body, or the image in it, is too large.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// The body is of a type, or compressed in a way, that is not taken here.
    #[response(status = 415)]
    UnsupportedMediaType(ErrorBody),
    /// `Expect` asks for something else than `100-continue`.
    #[response(status = 417)]
    ExpectationFailed(ErrorBody),
    /// The request names a host that this server does not answer to.
    #[response(status = 421)]
    UnknownHost(ErrorBody),
    /// Every permit is taken, or the key has used up a limit of its own; the header `Retry-After`
    /// says when to try again.
    #[response(status = 429)]
    QueueFull(ErrorBody),
    /// The sandbox or the model failed.
    #[response(status = 500)]
    Failed(ErrorBody),
    /// `Transfer-Encoding` has other codings than `chunked`.
    #[response(status = 501)]
    NotImplemented(ErrorBody),
    /// The models are not loaded yet, the server is stopping, or it has no room for the body or the
    /// connection.
    #[response(status = 503)]
    Unavailable(ErrorBody),
    /// The request took too long.
    #[response(status = 504)]
    Timeout(ErrorBody),
}

/// Errors of a server that does not serve now.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made")]
pub(crate) enum ServerErrors {
    /// The models are not loaded yet, or the server is stopping.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// Errors of a look into the catalogue.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made")]
pub(crate) enum CatalogueErrors {
    /// The path, or the host that the request names, is not as it must be.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// Keys are asked for, and none of them was given.
    #[response(status = 401)]
    InvalidKey(ErrorBody),
    /// There is no such model.
    #[response(status = 404)]
    UnknownModel(ErrorBody),
    /// The request names a host that this server does not answer to.
    #[response(status = 421)]
    UnknownHost(ErrorBody),
    /// The models are not loaded yet, or the server is stopping.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}
