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

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Version};
use axum::middleware::Next;
use axum::response::Response;

use crate::configuration::Configuration;
use crate::error::ApiError;
use crate::quote::quoted;
use crate::server::Server;

/// What is answered under every name.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/health"];

/// A host: a name in lower case, or an address. Names are compared as they are, since browsers send
/// them in ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// A host as URLs write it, an IPv6 address in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"-._~".contains(&letter);
        let is_name = !text.is_empty() && text.bytes().all(is_letter);
        is_name.then(|| text.parse().map_or_else(|_| Self::Name(text.to_ascii_lowercase()), Self::Address))
    }

    /// Whether it is this machine, whatever the DNS says: browsers look up no name that ends in
    /// `.localhost`.
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    /// The same without the dot that may end a complete name.
    fn without_dot(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(name.strip_suffix('.').unwrap_or(name).to_owned()),
            Self::Address(address) => Self::Address(*address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// A name or address that the server answers to: `models.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Host);

/// Why a text is no name of a host.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no host; expected a name in ASCII or an address alone, as `models.example.org`, without scheme, port or `*`"
)]
pub struct HostNameError(String);

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let address = text.parse().map(Host::Address).ok();
        let host = address.or_else(|| Host::parse(text)).ok_or_else(|| HostNameError(text.to_owned()))?;
        Ok(Self(host.without_dot()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The host and port that a request goes to, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// Lets a request pass if the server answers to the host that it names, and notes that for the
/// check of its origin.
pub(crate) async fn check(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(target) = Target::of(&request)? else { return Ok(next.run(request).await) };
    if !PROBES.contains(&request.uri().path()) && !serves(server.configuration(), &target.host) {
        return Err(ApiError::UnknownHost { host: target.host.to_string() });
    }
    request.extensions_mut().insert(target);
    Ok(next.run(request).await)
}

fn serves(configuration: &Configuration, host: &Host) -> bool {
    let (names, on_loopback) = (&configuration.allowed_hosts, configuration.listens_on_loopback);
    let is_checked = !names.is_empty() || (on_loopback && configuration.api_keys.count() == 0);
    let host = host.without_dot();
    let is_address = matches!(host, Host::Address(_));
    !is_checked || host.is_loopback() || (is_address && !on_loopback) || names.contains(&HostName(host))
}

impl Target {
    /// By RFC 9112, section 3.2: exactly one valid `Host`, which may lack in HTTP/1.0 only, and
    /// over which an absolute target goes.
    fn of(request: &Request) -> Result<Option<Self>, ApiError> {
        let named = Self::of_header(request.headers(), request.version())?;
        match request.uri().authority() {
            Some(authority) => Self::parse(authority.as_str()).map(Some),
            None => Ok(named),
        }
    }

    fn of_header(headers: &HeaderMap, version: Version) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(HOST).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(&String::from_utf8_lossy(value.as_bytes())).map(Some),
            (Some(_), Some(_)) => Err(invalid("the header `Host` is given twice; give it once")),
            (None, _) if version < Version::HTTP_11 => Ok(None),
            (None, _) => Err(invalid("the header `Host` is missing; HTTP/1.1 wants one")),
        }
    }

    fn parse(text: &str) -> Result<Self, ApiError> {
        let expected = "expected a name or address, perhaps `:` and a port";
        split(text).ok_or_else(|| invalid(&format!("the host {} is none; {expected}", quoted(text))))
    }
}

/// A host and perhaps a port, which may be empty; no name of a user.
pub(crate) fn split(text: &str) -> Option<Target> {
    let split = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let (host, port) = split.unwrap_or((text, ""));
    // Rust would take a sign as well.
    let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
    let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|_| is_number)?) };
    Some(Target { host: Host::parse(host)?, port })
}

fn invalid(message: &str) -> ApiError {
    ApiError::Invalid { param: None, code: Some("invalid_host"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKeys;
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
    fn target(version: Version, uri: &str, hosts: &[&str]) -> Option<Option<Target>> {
        let builder = hosts.iter().fold(Request::builder(), |builder, host| builder.header(HOST, *host));
        let request = builder.version(version).uri(uri).body(Body::empty()).expect("a request");
        Target::of(&request).ok()
    }

    #[test]
    fn a_host_stands_once_and_an_absolute_target_goes_before_it() {
        let target_of = |host: &str, port| Some(Some(Target { host: Host::parse(host).expect("a host"), port }));
        assert_eq!(target(Version::HTTP_11, "/", &["a.example:80"]), target_of("a.example", Some(80)));
        assert_eq!(target(Version::HTTP_11, "/", &["a.example:"]), target_of("a.example", None));
        assert_eq!(target(Version::HTTP_11, "http://evil.example/", &["localhost"]), target_of("evil.example", None));
        assert_eq!(target(Version::HTTP_10, "/", &[]), Some(None));
        assert_eq!(target(Version::HTTP_11, "/", &[]), None);
        assert_eq!(target(Version::HTTP_11, "/", &["localhost", "localhost"]), None);
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
            assert_eq!(target(Version::HTTP_11, "/", &[host]), None, "{host}");
        }
    }

    #[test]
    fn a_name_to_answer_to_is_a_host_alone() {
        for text in ["models.example.org", "10.0.0.1", "::1", "[::1]", "xn--kln-sna.example"] {
            assert!(text.parse::<HostName>().is_ok(), "{text}");
        }
        for text in ["", "*", "*.example.org", "example.org:80", "http://example.org", "a/b", "a b", "köln.example"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
