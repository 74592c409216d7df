//! Why a file could not be fetched, and whether and when to ask for it again.

use std::time::Duration;

use ureq::http::StatusCode;

/// How often in a row a request is repeated that brought nothing.
const RETRIES: u32 = 4;
/// The wait before the first repetition; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest `Retry-After` that is waited for; a hub that asks for more is left alone.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why one request did not bring what it was for.
#[derive(Debug)]
pub(super) enum Failure {
    /// The hub answered with a status that brings no file.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// There was no connection, or it broke, or nothing came in time.
    Connection(ureq::Error),
    /// The contents broke off or came too slowly, in words.
    Interrupted(String),
    /// The answer cannot be used, in words; asking again would not help.
    Unusable(String),
    /// The file could not be written.
    Disk(std::io::Error),
}

impl Failure {
    /// Whether the hub was not reached at all.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connection(_))
    }

    /// Whether the same request may go better later.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504),
            Self::Connection(error) => is_temporary(error),
            Self::Interrupted(_) => true,
            Self::Unusable(_) | Self::Disk(_) => false,
        }
    }
}

/// An address, a certificate or a proxy that is wrong stays wrong.
fn is_temporary(error: &ureq::Error) -> bool {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Protocol, Timeout};
    matches!(error, ConnectionFailed | HostNotFound | Io(_) | Protocol(_) | Timeout(_))
}

/// Counts the attempts at one file.
pub(super) struct Attempts {
    left: u32,
    wait: Duration,
    longest_wait: Duration,
}

impl Attempts {
    /// With repetitions, no two of which are further apart than `longest_wait` unless the hub asks
    /// for it.
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { left: RETRIES, wait: FIRST_WAIT, longest_wait }
    }

    /// Makes all repetitions available again, after one that brought something.
    pub(super) fn renew(&mut self) {
        *self = Self::new(self.longest_wait);
    }

    /// Waits for the next attempt, or gives the failure back where there is none.
    pub(super) fn wait_after(&mut self, failure: Failure) -> Result<(), Failure> {
        if self.left == 0 || !failure.is_temporary() {
            return Err(failure);
        }
        let asked = match failure {
            Failure::Status { retry_after, .. } => retry_after,
            _ => None,
        };
        if asked.is_some_and(|asked| asked > LONGEST_RETRY_AFTER) {
            return Err(failure);
        }
        std::thread::sleep(asked.unwrap_or(self.wait.min(self.longest_wait)));
        self.left -= 1;
        self.wait *= 2;
        Ok(())
    }
}
