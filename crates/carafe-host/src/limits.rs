//! What a guest may take from the host, and the counting of it: its linear memory (`memory`), what
//! the host keeps for it (`quota`), its processor time (`clock`). Every store has its own
//! [`Limits`].

use std::time::Duration;

mod clock;
mod memory;
mod quota;

pub(crate) use clock::{ComputeTime, EPOCH, GuestClock, thread_time};
pub(crate) use memory::MemoryMeter;
pub(crate) use quota::{ContextKind, QuotaExceeded, ResourceQuota};

/// Bounds of one guest.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of linear memory.
    pub guest_memory: u64,
    /// Bytes of tensors that the host keeps at one time.
    pub tensor_bytes: u64,
    /// Tensors, graphs, contexts and errors that the guest holds at one time.
    pub handles: u32,
    /// Execution contexts that the guest holds at one time.
    pub contexts: u32,
    /// Processor time of one call into the guest, less what OpenVINO takes of it on the guest's
    /// thread.
    pub call_time: Duration,
}

impl Limits {
    /// The largest guest memory that may be asked for: 4 GiB is the end of a 32-bit address space,
    /// and no guest gets all of it.
    pub const MAX_GUEST_MEMORY: u64 = (4 << 30) - (64 << 10);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guest_memory: 256 << 20,
            tensor_bytes: 256 << 20,
            handles: 1024,
            contexts: 8,
            call_time: Duration::from_secs(2),
        }
    }
}
