//! What the server is told once, at its start.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::keys::ApiKeys;

/// How the server behaves; where it listens and what it loads is the caller's affair.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Sequences that may wait or run at one time, for each model; what comes beyond is refused with 429.
    pub queue: NonZeroU32,
    /// The most MiB of request bodies that are held at one time, over all connections.
    pub body_memory_mib: NonZeroU32,
    /// How long the server says that it is not ready, and serves on, before it stops to listen.
    pub shutdown_delay: Duration,
    /// How long running requests may go on once the server is told to stop.
    pub drain: Duration,
    /// How long one request may take, from its head to the end of its answer.
    pub request_timeout: Duration,
    /// Who may use `/v1/…` and `/infer`; everybody if there are none.
    pub api_keys: ApiKeys,
    /// Web pages that may use the API besides the server's own.
    pub cors_origins: Vec<Origin>,
    /// Whether prompts are written to the log.
    pub log_prompts: bool,
}

impl Configuration {
    /// The most that [`Configuration::queue`] may be: as many as a guest lets wait.
    pub const MAX_QUEUE: u32 = 1024;
}

/// An origin as browsers send it: `https://example.org`, with a port if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Why a text is no origin.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no origin; expected `http://` or `https://`, a host, perhaps a port, and nothing else")]
pub struct OriginError(String);

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = || OriginError(text.to_owned());
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(error)?;
        let is_host = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-:[]".contains(letter);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(error());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| error())
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

impl Origin {
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for text in ["https://example.org", "http://localhost:8080", "http://[::1]:3000"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in ["*", "null", "example.org", "https://", "https://example.org/", "https://Example.org", "ftp://a"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
