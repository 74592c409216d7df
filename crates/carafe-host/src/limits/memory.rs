//! A guest's linear memory.

use wasmtime::ResourceLimiter;

use super::Limits;

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

    /// The size in bytes that was asked for and refused last, if any: a guest that runs out of
    /// memory traps soon after.
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

    // A component is several core instances (the module and the adapters between it and the host)
    // with one memory.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_over_the_cap_is_refused_and_remembered() {
        let mut meter = MemoryMeter::new(&Limits { guest_memory: 1 << 20, ..Limits::default() });
        assert!(meter.memory_growing(0, 1 << 20, None).expect("no trap"));
        assert!(!meter.memory_growing(1 << 20, (1 << 20) + 1, None).expect("no trap"));
        assert_eq!((meter.high_water(), meter.refused()), (1 << 20, Some((1 << 20) + 1)));
    }
}
