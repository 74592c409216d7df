//! Hosts: names and addresses, as URLs and requests write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

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
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    /// The same without the dot that may end a complete name.
    pub(crate) fn without_dot(&self) -> Self {
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

impl HostName {
    /// Whether it is this host, given without a dot at its end.
    pub(crate) fn is(&self, host: &Host) -> bool {
        self.0 == *host
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

impl Target {
    /// A host and perhaps a port, which may be empty; no name of a user.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let split = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = split.unwrap_or((text, ""));
        // Rust would take a sign as well.
        let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
        let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|_| is_number)?) };
        Some(Self { host: Host::parse(host)?, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
