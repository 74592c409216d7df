//! What a server is started with.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::host::HostName;
use crate::keys::ApiKeys;
use crate::origin::Origin;

/// How the server behaves; where it listens and what it loads is the caller's affair.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Sequences that may wait or run at one time, for each model; what comes beyond is refused
    /// with 429.
    pub queue: NonZeroU32,
    /// The most MiB of request bodies that are held at one time, over all connections.
    pub body_memory_mib: NonZeroU32,
    /// How long the server says that it is not ready, and serves on, before it stops to listen.
    pub shutdown_delay: Duration,
    /// How long running requests may go on once the server is asked to stop.
    pub drain: Duration,
    /// How long one request may take, from its head to the end of its answer.
    pub request_timeout: Duration,
    /// The most tokens of an answer in a conversation whose request does not say how many; none
    /// leaves it to the context.
    pub default_max_tokens: Option<NonZeroU32>,
    /// Who may use `/v1/…` and `/infer`; everybody if there are none.
    pub api_keys: ApiKeys,
    /// Web pages that may use the API besides the server's own.
    pub cors_origins: Vec<Origin>,
    /// Names that the server answers to besides `localhost` and loopback addresses; see
    /// [`crate::HostName`].
    pub allowed_hosts: Vec<HostName>,
    /// Whether only this machine can reach the listener.
    pub listens_on_loopback: bool,
    /// Whether prompts, and messages of errors, which repeat what a client sent, are written to the
    /// log.
    pub log_prompts: bool,
}

impl Configuration {
    /// The most that [`Configuration::queue`] may be: as many as a guest lets wait.
    pub const MAX_QUEUE: u32 = 1024;
}

#[cfg(test)]
impl Configuration {
    /// A server on loopback that asks for no key.
    pub(crate) fn for_tests() -> Self {
        Self {
            queue: NonZeroU32::MIN,
            body_memory_mib: NonZeroU32::MIN,
            shutdown_delay: Duration::ZERO,
            drain: Duration::ZERO,
            request_timeout: Duration::from_secs(60),
            default_max_tokens: None,
            api_keys: ApiKeys::default(),
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            listens_on_loopback: true,
            log_prompts: false,
        }
    }
}
