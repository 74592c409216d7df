//! A request that runs, in the sandbox or natively, for whatever takes its events.

use anyhow::Result;
use carafe_host::text::EventKind;

mod native;
mod sandboxed;

pub(crate) use native::{Native, OpenVino, core_request};
pub(crate) use sandboxed::Sandboxed;

/// A request that runs, wherever it runs.
pub(crate) trait Source {
    /// The next event; none after the last.
    fn next(&mut self) -> Result<Option<EventKind>>;
    /// The most memory that the guest has had, in bytes; none without a guest.
    fn guest_memory(&self) -> Option<u64>;
}
