//! The routes, and the order of the layers before them.
//!
//! From the outside in: headers for browsers, the record of the request, its head, the check of the
//! host that it names, of its origin, of its key (for the routes that compute), the handler. The
//! headers are outermost, so that a page can read how its request ended in any case.

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use tower_http::normalize_path::NormalizePath;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::chat::ChatRequest;
use crate::classify::ClassifyParameters;
use crate::completions::CompletionRequest;
use crate::error::ApiError;
use crate::infer::InferParameters;
use crate::known_fields::{KnownFields, names_of};
use crate::layers::{head, host, keys, origin, record};
use crate::openai::field_names;
use crate::openapi::{self, Document};
use crate::record::Recorder;
use crate::server::Server;
use crate::tokenize::{ApplyTemplateRequest, DetokenizeRequest, TokenizeRequest};
use crate::{catalogue, chat, classify, completions, health, infer, page, suggestion, tokenize};

#[cfg(test)]
mod refusals;

/// Everything that the server answers.
pub(crate) fn app(server: Server) -> Router {
    let (models, models_document) = model_routes().split_for_parts();
    let (health, mut document) = health_routes().split_for_parts();
    document.merge(models_document);
    let recorder = Recorder { server: server.clone(), known_fields: known_fields() };
    let paths: Arc<[String]> = document.paths.paths.keys().cloned().collect();
    let routes: Router = Router::new()
        .merge(models.route_layer(from_fn_with_state(server.clone(), keys::require)))
        .merge(health)
        .merge(openapi::routes(&document))
        .merge(page::routes())
        .fallback(move |uri| unknown_route(uri, paths.clone()))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(server.clone(), origin::check))
        .layer(from_fn_with_state(server.clone(), host::check))
        .layer(from_fn(head::check))
        .layer(from_fn_with_state(recorder, record::keep))
        .layer(from_fn_with_state(server.clone(), origin::share))
        .layer(map_response(guarded))
        .with_state(server);
    // A slash at a path's end, or two at its beginning, come from joining a base URL and a route;
    // the router would miss.
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(routes))
}

/// The description of all routes, as `/openapi.json` has it.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = health_routes().into_openapi();
    document.merge(model_routes().into_openapi());
    document
}

/// What needs a key, where keys are asked for.
fn model_routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(completions::create))
        .routes(routes!(chat::create))
        .routes(routes!(tokenize::tokenize))
        .routes(routes!(tokenize::detokenize))
        .routes(routes!(tokenize::apply_template))
        .routes(routes!(catalogue::list))
        .routes(routes!(catalogue::show))
        .routes(routes!(classify::classify))
        .routes(routes!(infer::infer))
        .routes(routes!(health::version))
}

fn health_routes() -> OpenApiRouter<Server> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
}

/// Every field that a handler reads or names.
fn known_fields() -> KnownFields {
    let others = [
        names_of::<InferParameters>(),
        names_of::<ClassifyParameters>(),
        names_of::<TokenizeRequest>(),
        names_of::<DetokenizeRequest>(),
        names_of::<ApplyTemplateRequest>(),
        // Named by a handler that reads a form.
        &["image"],
    ];
    field_names::<CompletionRequest>().chain(field_names::<ChatRequest>()).chain(others.concat()).collect()
}

async fn unknown_route(OriginalUri(uri): OriginalUri, routes: Arc<[String]>) -> ApiError {
    ApiError::UnknownRoute { path: uri.path().to_owned(), advice: suggestion::advice(uri.path(), &routes) }
}

/// Says which methods there are, in the header `Allow`, which the router adds; that is all that
/// `OPTIONS` asks for.
async fn method_not_allowed(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let path = request.uri().path().to_owned();
    ApiError::MethodNotAllowed { method: request.method().to_string(), path }.into_response()
}

/// No browser is to take an answer for something else than it says, nor to keep it unless it may.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use crate::keys::ApiKeys;
    use axum::body::{Body, to_bytes};
    use axum::http::HeaderMap;
    use serde_json::Value;
    use tower::ServiceExt;

    fn server() -> Server {
        Server::new(Configuration {
            api_keys: ApiKeys::parse("a-key-for-the-tests-0123").expect("one key"),
            cors_origins: vec!["https://friend.example".parse().expect("an origin")],
            ..Configuration::for_tests()
        })
    }

    /// Status and body of the answer to a request without a key, on a server without models.
    fn ask(request: Request) -> (u16, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let response = app(server()).oneshot(request).await.expect("an answer");
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }

    fn get(path: &str) -> Request {
        Request::builder().uri(path).header(header::HOST, "localhost").body(Body::empty()).expect("a request")
    }

    /// Status and headers of the answer to a request with these headers.
    fn head(server: Server, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
        let builder = Request::builder().method(method).uri(path);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        let request = builder.body(Body::empty()).expect("a request");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let response = runtime.block_on(app(server).oneshot(request)).expect("an answer");
        (response.status().as_u16(), response.headers().clone())
    }

    #[test]
    fn options_are_told_for_every_route_without_a_key_and_for_nothing_else() {
        for (path, expected) in
            [("/v1/completions", "POST"), ("/v1/models/tales", "GET,HEAD"), ("/healthz", "GET,HEAD"), ("/", "GET,HEAD")]
        {
            let (status, headers) = head(server(), Method::OPTIONS, path, &[("host", "localhost")]);
            assert_eq!((status, headers["allow"].to_str().ok()), (204, Some(expected)), "{path}");
        }
        let (status, body) = ask(Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/nothing")
            .header(header::HOST, "localhost")
            .body(Body::empty())
            .expect("a request"));
        assert_eq!((status, &body["error"]["code"]), (404, &"not_found".into()));
    }

    #[test]
    fn an_allowed_page_may_send_any_header_and_read_how_it_ended() {
        let asked = "authorization, content-type, x-stainless-retry-count";
        let preflight = |origin: &'static str, path| {
            let headers = [
                ("host", "localhost"),
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", asked),
                ("access-control-request-private-network", "true"),
            ];
            head(server(), Method::OPTIONS, path, &headers)
        };
        let (status, headers) = preflight("https://friend.example", "/v1/completions");
        assert_eq!((status, &headers["access-control-allow-headers"]), (204, &HeaderValue::from_static(asked)));
        assert_eq!(headers["access-control-allow-origin"], "https://friend.example");
        assert_eq!(headers["access-control-allow-methods"], "POST");
        assert_eq!(headers["access-control-allow-private-network"], "true");
        assert_eq!(headers.get("access-control-allow-credentials"), None);
        assert_eq!(preflight("https://friend.example", "/v1/nothing").0, 404);
        let (status, headers) = preflight("https://stranger.example", "/v1/completions");
        assert_eq!((status, headers.get("access-control-allow-origin")), (403, None));
        let wrong_key = [("host", "localhost"), ("origin", "https://friend.example"), ("authorization", "Bearer none")];
        let (status, headers) = head(server(), Method::POST, "/v1/completions", &wrong_key);
        assert_eq!(
            (status, &headers["access-control-allow-origin"]),
            (401, &"https://friend.example".parse().expect("a value"))
        );
        for name in ["x-request-id", "retry-after", "x-ratelimit-reset-tokens"] {
            assert!(
                headers["access-control-expose-headers"].to_str().is_ok_and(|names| names.contains(name)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_rebound_name_is_served_nothing_but_probes() {
        let open = || Server::new(Configuration { api_keys: ApiKeys::default(), ..server().configuration().clone() });
        let status = |path: &str, host: &str, origin: &str| {
            head(open(), Method::GET, path, &[("host", host), ("origin", origin)]).0
        };
        for path in ["/v1/models", "/metrics", "/openapi.json", "/", "/v1/nothing"] {
            assert_eq!(status(path, "evil.example:3100", "http://evil.example:3100"), 421, "{path}");
        }
        assert_eq!(status("/v1/models", "localhost:3000", "http://localhost:3000"), 503, "there are no models yet");
        assert_eq!(status("/healthz", "evil.example", "http://evil.example"), 200);
        assert_eq!(head(open(), Method::GET, "/healthz", &[]).0, 400, "HTTP/1.1 wants a host");
    }

    #[test]
    fn a_server_without_models_lives_and_is_not_ready() {
        assert_eq!(ask(get("/healthz")).0, 200);
        let (status, body) = ask(get("/readyz"));
        assert_eq!((status, &body["error"]["code"]), (503, &"not_ready".into()));
    }

    #[test]
    fn whoever_has_no_key_is_told_nothing_of_the_models() {
        for path in ["/v1/models", "/v1/models/tales"] {
            let (status, body) = ask(get(path));
            assert_eq!((status, &body["error"]["code"]), (401, &"invalid_api_key".into()), "{path}");
        }
        let mut request = get("/v1/models");
        let key = HeaderValue::from_static("Bearer a-key-for-the-tests-0123");
        request.headers_mut().insert(header::AUTHORIZATION, key);
        assert_eq!(ask(request).0, 503, "with a key, there are no models yet");
    }

    #[test]
    fn a_key_with_a_limit_of_tokens_is_told_of_it_whatever_is_answered() {
        let keys = "a-key-for-the-tests-0123 tokens_per_minute=60\nanother-key-for-the-tests";
        let api_keys = ApiKeys::parse(keys).expect("two keys");
        let server = Server::new(Configuration { api_keys, ..server().configuration().clone() });
        let ask =
            |key| head(server.clone(), Method::GET, "/v1/models", &[("host", "localhost"), ("authorization", key)]);
        let (status, headers) = ask("bearer a-key-for-the-tests-0123");
        let told = ["limit", "remaining", "reset"].map(|name| headers[&format!("x-ratelimit-{name}-tokens")].clone());
        assert_eq!((status, told), (503, ["60", "60", "0s"].map(HeaderValue::from_static)));
        for (key, expected) in [("Bearer another-key-for-the-tests", 503), ("Basic a-key-for-the-tests-0123", 401)] {
            let (status, headers) = ask(key);
            assert_eq!((status, headers.get("x-ratelimit-limit-tokens")), (expected, None), "{key}");
        }
    }

    #[test]
    fn a_slash_at_the_end_of_a_path_changes_nothing() {
        for path in ["/healthz/", "/v1/models/", "/v1/models/tales/", "//healthz", "/version/"] {
            let without = format!("/{}", path.trim_matches('/'));
            assert_eq!(ask(get(path)).0, ask(get(&without)).0, "{path}");
            assert_ne!(ask(get(path)).0, 404, "{path}");
        }
        assert_eq!(ask(get("/v1/completions/")).0, 405, "the route is there, and takes POST");
    }

    #[test]
    fn a_path_without_v1_is_answered_with_the_route_that_was_meant() {
        for (path, meant) in [("/completions", "`/v1/completions`"), ("/models/", "`/v1/models`")] {
            let (status, body) = ask(get(path));
            assert_eq!((status, &body["error"]["code"]), (404, &"not_found".into()));
            let message = body["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains(&format!("`{path}`")) && message.contains(meant), "{message}");
        }
    }

    #[test]
    fn a_connection_beyond_the_limit_may_ask_for_probes_alone() {
        let reserved = |path: &str| {
            let mut request = get(path);
            request.extensions_mut().insert(head::ProbesOnly);
            ask(request)
        };
        for path in ["/healthz", "/metrics"] {
            assert_eq!(reserved(path).0, 200, "{path}");
        }
        for path in ["/", "/v1/models", "/openapi.json"] {
            let (status, body) = reserved(path);
            assert_eq!((status, &body["error"]["code"]), (503, &"connections_full".into()), "{path}");
        }
    }

    #[test]
    fn head_is_answered_wherever_get_is() {
        for path in ["/healthz", "/health", "/v1/models", "/", "/openapi.json", "/nothing"] {
            let mut head = get(path);
            *head.method_mut() = Method::HEAD;
            assert_eq!(ask(head).0, ask(get(path)).0, "{path}");
        }
    }

    #[test]
    fn health_is_readiness_and_the_version_needs_a_key() {
        assert_eq!(ask(get("/health")).0, 503);
        assert_eq!(ask(get("/version")).0, 401);
        let mut request = get("/version");
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer a-key-for-the-tests-0123"));
        assert_eq!(ask(request).1["version"], env!("CARGO_PKG_VERSION"));
    }

    /// Those who have no key may look at the page, ask how the server is, and read what the API is.
    #[test]
    fn every_route_needs_a_key_but_those_that_tell_of_the_server_alone() {
        let (_, document) = ask(get("/openapi.json"));
        let open = ["/healthz", "/readyz", "/health", "/metrics"];
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                let method: Method = method.to_uppercase().parse().expect("a method");
                let mut request = get(&path.replace("{id}", "tales"));
                *request.method_mut() = method.clone();
                let (status, _) = ask(request);
                assert_eq!(status == 401, !open.contains(&&**path), "{method} {path}: {status}");
            }
        }
        for path in ["/", "/openapi.json"] {
            assert_eq!(ask(get(path)).0, 200, "{path}");
        }
    }

    #[test]
    fn every_route_that_is_described_exists() {
        let (status, document) = ask(get("/openapi.json"));
        assert_eq!(status, 200);
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), 14);
        for path in paths.keys() {
            assert_ne!(ask(get(path)).0, 404, "{path}");
        }
    }
}
