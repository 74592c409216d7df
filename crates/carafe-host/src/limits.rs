//! What a guest may take from the host, and the counting of it.
//!
//! Every store has its own [`Limits`]. Guest memory is counted by wasmtime's limiter, host memory kept for a guest by [`Ledger`], guest
//! time by [`GuestClock`].
//!
//! Guest time is processor time of the thread that runs the guest. A machine that is busy with
//! something else makes a guest late, not guilty, and a guest cannot wait: it has no import that
//! blocks. So wall-clock time has no bound here. A request has a deadline of its own, which the
//! server keeps.

use std::time::Duration;

use cpu_time::ThreadTime;
use wasmtime::ResourceLimiter;

use crate::engine::EPOCH;

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
    /// Tokens that a text guest may guess ahead of each that it chooses; 0 turns speculation off. Changes speed, not tokens.
    pub draft_tokens: u32,
}

impl Limits {
    /// The largest guest memory that may be asked for: 4 GiB is the end of a 32-bit address space, and no guest gets all of it.
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
            draft_tokens: 0,
        }
    }
}

/// Counts a guest's linear memory and refuses what is over the cap.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    cap: usize,
    high_water: usize,
    refused: Option<usize>,
}

impl MemoryMeter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { cap: usize::try_from(limits.guest_memory).unwrap_or(usize::MAX), high_water: 0, refused: None }
    }

    /// The most bytes that linear memory has had.
    pub(crate) fn high_water(&self) -> u64 {
        self.high_water as u64
    }

    /// The most bytes that linear memory may have.
    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    /// The size in bytes that was asked for and refused last, if any: a guest that runs out of memory traps soon after.
    pub(crate) fn refused(&self) -> Option<usize> {
        self.refused
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.cap {
            self.refused = Some(desired);
            return Ok(false);
        }
        self.high_water = self.high_water.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Tables hold functions of the guest's own code; no guest of ours has as many.
        Ok(desired <= 1 << 20)
    }

    // A component is several core instances (the module and the adapters between it and the host) with one memory.
    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Counts what the host keeps for a guest.
#[derive(Debug)]
pub(crate) struct Ledger {
    tensor_cap: u64,
    tensor_bytes: u64,
    context_cap: u32,
    contexts: u32,
    decoder_contexts: u32,
}

/// What a context keeps between computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextKind {
    /// Nothing.
    Stateless,
    /// A KV cache, of which a guest has one at a time.
    Decoder,
}

impl ContextKind {
    /// What is counted, for a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stateless => "execution contexts",
            Self::Decoder => "execution contexts with a KV cache",
        }
    }
}

/// Contexts with a KV cache that a guest holds at one time: the cache is the host's memory.
const MAX_DECODER_CONTEXTS: u32 = 1;

/// A cap that would be passed: the amount there would be, and the cap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exceeded {
    pub(crate) wanted: u64,
    pub(crate) cap: u64,
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tensor_cap: limits.tensor_bytes,
            tensor_bytes: 0,
            context_cap: limits.contexts,
            contexts: 0,
            decoder_contexts: 0,
        }
    }

    pub(crate) fn add_tensor(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let wanted = self.tensor_bytes.saturating_add(bytes);
        if wanted > self.tensor_cap {
            return Err(Exceeded { wanted, cap: self.tensor_cap });
        }
        self.tensor_bytes = wanted;
        Ok(())
    }

    pub(crate) fn remove_tensor(&mut self, bytes: u64) {
        self.tensor_bytes = self.tensor_bytes.saturating_sub(bytes);
    }

    pub(crate) fn add_context(&mut self, kind: ContextKind) -> Result<(), Exceeded> {
        let cap = self.context_cap;
        let (held, cap) = match kind {
            ContextKind::Stateless => (&mut self.contexts, cap),
            ContextKind::Decoder => (&mut self.decoder_contexts, cap.min(MAX_DECODER_CONTEXTS)),
        };
        if *held >= cap {
            return Err(Exceeded { wanted: u64::from(*held) + 1, cap: cap.into() });
        }
        *held += 1;
        Ok(())
    }

    pub(crate) fn remove_context(&mut self, kind: ContextKind) {
        let held = match kind {
            ContextKind::Stateless => &mut self.contexts,
            ContextKind::Decoder => &mut self.decoder_contexts,
        };
        *held = held.saturating_sub(1);
    }
}

/// The processor time that this thread has used since it started.
pub(crate) fn thread_time() -> Duration {
    ThreadTime::now().as_duration()
}

/// Measures a call into the guest: its processor time, and the parts of its time that OpenVINO and
/// the host took.
#[derive(Debug)]
pub(crate) struct GuestClock {
    limit: Duration,
    /// Processor time of the calling thread when the call began. A call stays on its thread; the
    /// next one may be on another.
    started: Duration,
    /// Processor time of this call that is not the guest's.
    native: Duration,
    total_native: Duration,
    total_host: Duration,
    total_inference: Duration,
}

/// How long a compute took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComputeTime {
    /// By the wall clock.
    pub(crate) wall: Duration,
    /// On the processor, of the thread that called: OpenVINO computes on it as well as on its own.
    pub(crate) processor: Duration,
}

impl GuestClock {
    pub(crate) fn new(limits: &Limits) -> Self {
        let zero = Duration::ZERO;
        Self {
            limit: limits.call_time,
            started: thread_time(),
            native: zero,
            total_native: zero,
            total_host: zero,
            total_inference: zero,
        }
    }

    /// Starts to measure a call of this thread.
    pub(crate) fn start_call(&mut self) {
        self.started = thread_time();
        self.native = Duration::ZERO;
    }

    /// Takes a compute off the guest's time, checks and copies included.
    pub(crate) fn add_native(&mut self, time: ComputeTime) {
        self.native += time.processor;
        self.total_native += time.wall;
    }

    /// Notes the part of a compute that was OpenVINO's own.
    pub(crate) fn add_inference(&mut self, time: Duration) {
        self.total_inference += time;
    }

    /// OpenVINO's own part of all computes since the store was made.
    pub(crate) fn total_inference(&self) -> Duration {
        self.total_inference
    }

    /// Time that OpenVINO has taken since the store was made.
    pub(crate) fn total_native(&self) -> Duration {
        self.total_native
    }

    /// Adds time that the host has spent on a compute of wasi:nn, taking and keeping tensors included, and OpenVINO.
    pub(crate) fn add_host(&mut self, time: Duration) {
        self.total_host += time;
    }

    /// Time that computes of wasi:nn have taken on the host's side since the store was made, OpenVINO's included.
    pub(crate) fn total_host(&self) -> Duration {
        self.total_host
    }

    /// The whole limit of a call in epochs.
    pub(crate) fn limit_in_epochs(&self) -> u64 {
        epochs(self.limit)
    }

    /// What is left to the guest of this call, in epochs; nothing if its time is up. A thread uses
    /// no more than a second of the processor in a second, so its time cannot be up before these
    /// epochs have passed.
    pub(crate) fn epochs_left(&self) -> Option<u64> {
        let spent = thread_time().saturating_sub(self.started).saturating_sub(self.native);
        self.limit.checked_sub(spent).filter(|left| !left.is_zero()).map(epochs)
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

/// Epochs that cover a time, at least one.
fn epochs(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(EPOCH.as_millis())).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_ledger_refuses_what_passes_a_cap_and_forgets_what_is_given_back() {
        let mut ledger = Ledger::new(&Limits { tensor_bytes: 100, contexts: 2, ..Limits::default() });
        assert!(ledger.add_tensor(60).is_ok());
        let exceeded = ledger.add_tensor(41).expect_err("101 bytes");
        assert_eq!((exceeded.wanted, exceeded.cap), (101, 100));
        assert!(ledger.add_tensor(u64::MAX).is_err());
        ledger.remove_tensor(60);
        assert!(ledger.add_tensor(100).is_ok());
        for (kind, cap) in [(ContextKind::Stateless, 2), (ContextKind::Decoder, 1)] {
            (0..cap).for_each(|_| assert!(ledger.add_context(kind).is_ok()));
            let exceeded = ledger.add_context(kind).expect_err("one too many");
            assert_eq!((exceeded.wanted, exceeded.cap), (cap + 1, cap));
            ledger.remove_context(kind);
            assert!(ledger.add_context(kind).is_ok());
        }
    }

    /// Works until this thread has used the processor for `time` more.
    fn work(time: Duration) {
        let started = thread_time();
        while thread_time().saturating_sub(started) < time {}
    }

    #[test]
    fn time_on_the_processor_counts_and_time_on_the_wall_does_not() {
        let limit = Duration::from_millis(100);
        let mut clock = GuestClock::new(&Limits { call_time: limit, ..Limits::default() });
        work(limit);
        clock.start_call();
        thread::sleep(2 * limit);
        assert!(clock.epochs_left().is_some(), "the thread did nothing");
        work(limit);
        assert_eq!(clock.epochs_left(), None);
        clock.start_call();
        assert!(clock.epochs_left().is_some(), "each call has its own time");
    }

    #[test]
    fn time_inside_openvino_is_not_the_guests() {
        let limit = Duration::from_millis(20);
        let mut clock = GuestClock::new(&Limits { call_time: limit, ..Limits::default() });
        let (wall, processor) = (Duration::from_secs(7000), 2 * limit);
        work(processor);
        assert_eq!(clock.epochs_left(), None);
        clock.add_native(ComputeTime { wall, processor });
        assert!(clock.epochs_left().is_some());
        assert_eq!(clock.total_native(), wall);
        work(limit);
        assert_eq!(clock.epochs_left(), None, "wall-clock time is not taken off");
    }

    #[test]
    fn memory_over_the_cap_is_refused_and_remembered() {
        let mut meter = MemoryMeter::new(&Limits { guest_memory: 1 << 20, ..Limits::default() });
        assert!(meter.memory_growing(0, 1 << 20, None).expect("no trap"));
        assert!(!meter.memory_growing(1 << 20, (1 << 20) + 1, None).expect("no trap"));
        assert_eq!((meter.high_water(), meter.refused()), (1 << 20, Some((1 << 20) + 1)));
    }
}
