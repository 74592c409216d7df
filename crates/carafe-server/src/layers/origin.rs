//! Other people's web pages.
//!
//! A browser sends a page's request to any server, this one included, and only keeps the answer
//! from the page. That would let any page on the web make a local server work. So a request that is
//! made from another origin is refused, unless that origin is allowed; an allowed one also gets the
//! headers of CORS, so that its page may read the answer. Programs send no `Origin` and are not
//! concerned.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;
use crate::host::Target;
use crate::origin::Origin;
use crate::server::Server;

/// What a page may read of an answer's head besides the few headers that it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, x-should-retry, www-authenticate, allow, x-ratelimit-limit-tokens, \
     x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens",
);

/// How long a browser may go by a preflight's answer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What an answer depends on besides its path, where origins are allowed.
const VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

const PRIVATE_NETWORK_REQUESTED: HeaderName = HeaderName::from_static("access-control-request-private-network");
const PRIVATE_NETWORK_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Who sent a request.
enum Sender {
    /// A program, or a page of this server.
    Own,
    /// A page that is allowed; its origin in the browser's own words.
    Allowed(HeaderValue),
    /// Any other page.
    Stranger(String),
}

impl Sender {
    fn of(request: &Request, allowed: &[Origin]) -> Self {
        let mut values = request.headers().get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else { return Self::Own };
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let target = request.extensions().get::<Target>();
        match text.parse::<Origin>() {
            // Several origins are no page's own.
            _ if values.next().is_some() => Self::Stranger(text),
            Ok(origin) if allowed.contains(&origin) => Self::Allowed(value.clone()),
            Ok(origin) if target.is_some_and(|target| origin.is_at(target)) => Self::Own,
            _ => Self::Stranger(text),
        }
    }
}

/// Refuses what changes or computes something for a page that is neither the server's own nor
/// allowed, and the question whether it may.
pub(crate) async fn check(State(server): State<Server>, request: Request, next: Next) -> Result<Response, ApiError> {
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    match Sender::of(&request, &server.configuration().cors_origins) {
        Sender::Stranger(origin) if !harmless || Preflight::of(&request).is_some() => {
            Err(ApiError::ForbiddenOrigin { origin })
        }
        _ => Ok(next.run(request).await),
    }
}

/// A browser's question before a page's request: whether a method and headers are allowed.
struct Preflight {
    method: HeaderValue,
    /// Names of the headers that the page wants to send.
    headers: Vec<HeaderValue>,
    /// Whether the page comes from a wider network than the server is in.
    private_network: bool,
}

impl Preflight {
    fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let is_question = request.method() == Method::OPTIONS && headers.contains_key(header::ORIGIN);
        is_question.then(|| Self {
            method: method.clone(),
            headers: headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().cloned().collect(),
            private_network: headers.get(PRIVATE_NETWORK_REQUESTED).is_some_and(|value| value == "true"),
        })
    }

    /// Allows what was asked for: any header, and any method, since a route refuses those that it
    /// does not have by itself. Credentials are not allowed: keys are no cookies.
    fn answer(self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.method);
        for name in self.headers {
            headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, name);
        }
        if self.private_network {
            headers.insert(PRIVATE_NETWORK_ALLOWED, HeaderValue::from_static("true"));
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

/// Adds the headers of CORS to answers to pages that are allowed.
pub(crate) async fn share(State(server): State<Server>, request: Request, next: Next) -> Response {
    let allowed = &server.configuration().cors_origins;
    if allowed.is_empty() {
        return next.run(request).await;
    }
    let (sender, preflight) = (Sender::of(&request, allowed), Preflight::of(&request));
    let mut response = next.run(request).await;
    let is_success = response.status().is_success();
    let headers = response.headers_mut();
    headers.append(header::VARY, VARY);
    if let Sender::Allowed(origin) = sender {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        match preflight.filter(|_| is_success) {
            Some(preflight) => preflight.answer(headers),
            None => drop(headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use axum::body::Body;

    fn origin(text: &str) -> Origin {
        text.parse().expect("an origin")
    }

    /// What becomes of a request with these origins to `models.example.org`, perhaps with a port:
    /// `own`, `allowed` or `stranger`.
    fn sender(origins: &[&str], port: Option<u16>) -> &'static str {
        let add = |builder: axum::http::request::Builder, origin: &&str| builder.header(header::ORIGIN, *origin);
        let mut request = origins.iter().fold(Request::builder(), add).body(Body::empty()).expect("a request");
        let host = Host::parse("models.example.org").expect("a host");
        request.extensions_mut().insert(Target { host, port });
        match Sender::of(&request, &[origin("https://friend.example")]) {
            Sender::Own => "own",
            Sender::Allowed(_) => "allowed",
            Sender::Stranger(_) => "stranger",
        }
    }

    #[test]
    fn a_page_is_the_servers_own_allowed_or_a_stranger() {
        assert_eq!(sender(&[], None), "own", "a program sends no origin");
        for own in ["https://models.example.org", "http://models.example.org:80", "https://MODELS.example.org:443"] {
            assert_eq!(sender(&[own], None), "own", "{own}");
        }
        assert_eq!(sender(&["http://models.example.org:8080"], Some(8080)), "own");
        assert_eq!(sender(&["HTTPS://friend.example:443"], None), "allowed");
        for stranger in
            ["null", "https://models.example.org:8443", "https://friend.example.evil.example", "file://", ""]
        {
            assert_eq!(sender(&[stranger], None), "stranger", "{stranger}");
        }
        assert_eq!(sender(&["https://friend.example", "https://friend.example"], None), "stranger");
    }
}
