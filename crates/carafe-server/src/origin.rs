//! Origins of web pages.
//!
//! Origins are compared as the standard says (RFC 6454): scheme and host in any case, and port,
//! with the scheme's own port where none is named. `null`, lists, and schemes but `http` and
//! `https` are equal to nothing.

use std::fmt;
use std::str::FromStr;

use crate::host::{Host, Target};

/// Where a page comes from: `https://example.org`, with a port if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: &'static str,
    host: Host,
    port: u16,
}

/// The schemes of web pages, and their own ports.
const SCHEMES: [(&str, u16); 2] = [("http", 80), ("https", 443)];

/// Why a text is no origin.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no origin; expected `http://` or `https://`, a host, perhaps a port, and nothing else")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let parse = || {
            let (scheme, rest) = text.split_once("://")?;
            let (scheme, usual) = SCHEMES.into_iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known))?;
            let Target { host, port } = Target::parse(rest)?;
            Some(Self { scheme, host, port: port.unwrap_or(usual) })
        };
        parse().ok_or_else(|| OriginError(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        if self.port == self.usual_port() { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

impl Origin {
    fn usual_port(&self) -> u16 {
        SCHEMES.iter().find(|(scheme, _)| *scheme == self.scheme).map_or(0, |(_, port)| *port)
    }

    /// Whether a page of this origin comes from the host that its request goes to. A proxy may have
    /// taken off TLS, so that the scheme of the request is not known: where it names no port, it is
    /// the one of the page's scheme.
    pub(crate) fn is_at(&self, target: &Target) -> bool {
        self.host == target.host && self.port == target.port.unwrap_or(self.usual_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().expect("an origin")
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for text in ["https://example.org", "http://localhost:8080", "http://[::1]:3000", "HTTPS://Example.ORG:443"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in [
            "*",
            "null",
            "example.org",
            "https://",
            "https://example.org/",
            "ftp://a",
            "https://a b",
            "https://*.a",
            "https://user@a",
            "https://a?",
            "https://a, https://b",
            "http://a:99999",
            "https:/a",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_equal_whatever_their_case_and_with_the_port_of_their_scheme() {
        assert_eq!(origin("https://example.org"), origin("HTTPS://Example.org:443"));
        assert_eq!(origin("HTTPS://Example.org:443").to_string(), "https://example.org");
        for other in
            ["http://example.org", "https://example.org:8443", "https://example.org.", "https://www.example.org"]
        {
            assert_ne!(origin("https://example.org"), origin(other), "{other}");
        }
    }
}
