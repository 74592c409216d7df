//! Guest time.
//!
//! It is processor time of the thread that runs the guest. A machine that is busy with something
//! else makes a guest late, not guilty, and a guest cannot wait: it has no import that blocks. So
//! wall-clock time has no bound here. A request has a deadline of its own, which the server keeps.

use std::time::Duration;

use cpu_time::ThreadTime;

use super::Limits;

/// Time between two epochs: how finely guest time is watched.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);

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

    /// Adds time that the host has spent on a compute of wasi:nn, taking and keeping tensors
    /// included, and OpenVINO.
    pub(crate) fn add_host(&mut self, time: Duration) {
        self.total_host += time;
    }

    /// Time that computes of wasi:nn have taken on the host's side since the store was made,
    /// OpenVINO's included.
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
}
