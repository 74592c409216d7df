//! Which hosts the server answers to.
//!
//! A page of `evil.example` may have that name point to 127.0.0.1 once it is loaded (DNS
//! rebinding). For its browser, this server is then the page's own, whose answers it may read; only
//! the name in the request gives it away. So a server that asks for no key and listens on a
//! loopback address answers to `localhost`, to loopback addresses, and to the names that it is
//! given (`--allowed-host`). With names given, every server answers to those alone. One that
//! listens on other addresses answers to any address besides: an address cannot be rebound, and
//! probes use it.
//!
//! Whether the process lives and is ready is said under every name: balancers ask under names of
//! their own.

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Version};
use axum::middleware::Next;
use axum::response::Response;

use crate::configuration::Configuration;
use crate::error::ApiError;
use crate::host::{Host, Target};
use crate::quote::quoted;
use crate::server::Server;

/// What is answered under every name.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/health"];

/// Lets a request pass if the server answers to the host that it names, and notes that for the
/// check of its origin.
pub(crate) async fn check(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(target) = target(&request)? else { return Ok(next.run(request).await) };
    if !PROBES.contains(&request.uri().path()) && !serves(server.configuration(), &target.host) {
        return Err(ApiError::UnknownHost { host: target.host.to_string() });
    }
    request.extensions_mut().insert(target);
    Ok(next.run(request).await)
}

fn serves(configuration: &Configuration, host: &Host) -> bool {
    let (names, on_loopback) = (&configuration.allowed_hosts, configuration.listens_on_loopback);
    let is_checked = !names.is_empty() || (on_loopback && configuration.api_keys.count() == 0);
    let host = &host.without_dot();
    let is_address = matches!(host, Host::Address(_));
    !is_checked || host.is_loopback() || (is_address && !on_loopback) || names.iter().any(|name| name.is(host))
}

/// What a request goes to. By RFC 9112, section 3.2: exactly one valid `Host`, which may lack in
/// HTTP/1.0 only, and over which an absolute target goes.
fn target(request: &Request) -> Result<Option<Target>, ApiError> {
    let named = target_of_header(request.headers(), request.version())?;
    match request.uri().authority() {
        Some(authority) => parse(authority.as_str()).map(Some),
        None => Ok(named),
    }
}

fn target_of_header(headers: &HeaderMap, version: Version) -> Result<Option<Target>, ApiError> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => parse(&String::from_utf8_lossy(value.as_bytes())).map(Some),
        (Some(_), Some(_)) => Err(invalid("the header `Host` is given twice; give it once")),
        (None, _) if version < Version::HTTP_11 => Ok(None),
        (None, _) => Err(invalid("the header `Host` is missing; HTTP/1.1 wants one")),
    }
}

fn parse(text: &str) -> Result<Target, ApiError> {
    let expected = "expected a name or address, perhaps `:` and a port";
    Target::parse(text).ok_or_else(|| invalid(&format!("the host {} is none; {expected}", quoted(text))))
}

fn invalid(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: Some("invalid_host"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ApiKeys;
    use axum::body::Body;

    fn configuration(listens_on_loopback: bool, names: &[&str]) -> Configuration {
        let allowed_hosts = names.iter().map(|name| name.parse().expect("a host")).collect();
        Configuration { allowed_hosts, listens_on_loopback, ..Configuration::for_tests() }
    }

    fn served(configuration: &Configuration, host: &str) -> bool {
        serves(configuration, &Target::parse(host).expect("a host").host)
    }

    #[test]
    fn on_loopback_and_without_keys_only_names_of_this_machine_and_given_ones_are_served() {
        let own = configuration(true, &["models.example.org"]);
        for host in [
            "localhost",
            "LocalHost:3000",
            "localhost.",
            "page.localhost:1",
            "127.0.0.1:3000",
            "127.8.9.1",
            "[::1]:3000",
            "[::ffff:127.0.0.1]",
            "models.example.org",
            "Models.Example.org.:443",
        ] {
            assert!(served(&own, host), "{host}");
        }
        for host in [
            "evil.example:3100",
            "localhost.evil.example",
            "evil-localhost",
            "127.1",
            "0.0.0.0:3000",
            "10.0.0.1",
            "[::]",
            "127.0.0.1.evil.example",
            "sub.models.example.org",
            "[2001:db8::1]:3000",
        ] {
            assert!(!served(&own, host), "{host}");
        }
    }

    #[test]
    fn keys_or_another_listener_let_every_name_in_until_names_are_given() {
        let keyed = ApiKeys::parse("a-key-for-the-tests-0123").expect("one key");
        let keyed = Configuration { api_keys: keyed, ..configuration(true, &[]) };
        assert!(served(&keyed, "models.example.org"));
        assert!(served(&configuration(false, &[]), "carafe.default.svc:3000"));
        let named = configuration(false, &["carafe"]);
        for (host, expected) in
            [("carafe:3000", true), ("10.1.2.3:3000", true), ("localhost", true), ("evil.example", false)]
        {
            assert_eq!(served(&named, host), expected, "{host}");
        }
    }

    /// What a request with these headers goes to; none if it is refused.
    fn taken(version: Version, uri: &str, hosts: &[&str]) -> Option<Option<Target>> {
        let builder = hosts.iter().fold(Request::builder(), |builder, host| builder.header(HOST, *host));
        let request = builder.version(version).uri(uri).body(Body::empty()).expect("a request");
        target(&request).ok()
    }

    #[test]
    fn a_host_stands_once_and_an_absolute_target_goes_before_it() {
        let target_of = |host: &str, port| Some(Some(Target { host: Host::parse(host).expect("a host"), port }));
        assert_eq!(taken(Version::HTTP_11, "/", &["a.example:80"]), target_of("a.example", Some(80)));
        assert_eq!(taken(Version::HTTP_11, "/", &["a.example:"]), target_of("a.example", None));
        assert_eq!(taken(Version::HTTP_11, "http://evil.example/", &["localhost"]), target_of("evil.example", None));
        assert_eq!(taken(Version::HTTP_10, "/", &[]), Some(None));
        assert_eq!(taken(Version::HTTP_11, "/", &[]), None);
        assert_eq!(taken(Version::HTTP_11, "/", &["localhost", "localhost"]), None);
        for host in [
            "",
            "user@localhost",
            "localhost:+80",
            "localhost:99999",
            "local host",
            "http://localhost",
            "[::1",
            "a,b:c",
        ] {
            assert_eq!(taken(Version::HTTP_11, "/", &[host]), None, "{host}");
        }
    }
}
