//! The memory of all bodies in flight: one budget over every connection, `--body-memory`.
//!
//! Bytes are charged as they arrive and not as they are announced, since an announcement costs its
//! sender nothing. No body waits for room: all would wait for one another, each with a part of the
//! memory. One that finds none is refused with 503 at once.

use std::num::NonZeroU32;
use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// What is charged at one time; also what a body is rounded up to.
const PAGE: usize = 4 << 10;

/// The budget; clones share it.
#[derive(Clone)]
pub(crate) struct BodyMemory {
    free: Arc<Semaphore>,
    mebibytes: u32,
    in_flight: Gauge,
}

impl BodyMemory {
    /// A budget of this size. The gauge shows what is taken of it, in bytes.
    pub(crate) fn new(mebibytes: NonZeroU32, in_flight: Gauge) -> Self {
        let pages = (mebibytes.get() as usize) * ((1 << 20) / PAGE);
        Self { free: Arc::new(Semaphore::new(pages)), mebibytes: mebibytes.get(), in_flight }
    }

    /// A reservation of nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { memory: self.clone(), permit: None }
    }
}

/// One body's part of the budget; dropping it gives the part back.
pub(crate) struct Reservation {
    memory: BodyMemory,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Makes the reservation large enough for this many bytes, if there is room.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let pages = bytes.div_ceil(PAGE).saturating_sub(self.pages());
        if pages == 0 {
            return Ok(());
        }
        let full = || ApiError::BodyMemoryFull { mebibytes: self.memory.mebibytes };
        let count = u32::try_from(pages).map_err(|_| full())?;
        let permit = self.memory.free.clone().try_acquire_many_owned(count).map_err(|_| full())?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.memory.in_flight.inc_by((pages * PAGE).cast_signed() as i64);
        Ok(())
    }

    fn pages(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.in_flight.dec_by((self.pages() * PAGE).cast_signed() as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_one_budget_and_give_back_what_they_took() {
        let gauge = Gauge::default();
        let memory = BodyMemory::new(NonZeroU32::MIN, gauge.clone());
        let mut first = memory.reserve();
        first.grow_to(1).expect("a page");
        first.grow_to(700 << 10).expect("most of it");
        assert_eq!(gauge.get(), 700 << 10);
        let mut second = memory.reserve();
        second.grow_to(300 << 10).expect("a part of the rest");
        let refusal = second.grow_to(400 << 10).expect_err("more than there is");
        assert_eq!(refusal.status(), 503);
        drop(first);
        second.grow_to(1 << 20).expect("all of it");
        drop(second);
        assert_eq!(gauge.get(), 0);
    }
}
