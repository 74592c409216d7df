//! How much is taken on at one time.
//!
//! Each model has as many places as `--queue` says. A request takes one for every sequence that it
//! makes the model generate, or one for an image, and holds them until it ends or its client
//! leaves. Nobody waits for a place: when there are too few, the answer is 429 at once, so that a
//! client knows where it stands.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::error::ApiError;

/// The places of one model.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: u32,
}

/// Places that are taken; dropping it frees them.
#[derive(Debug)]
pub(crate) struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(all: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Takes so many places, if they are free. `count` is at most all of them.
    pub(crate) fn take(&self, count: u32) -> Result<Permit, ApiError> {
        match self.free.clone().try_acquire_many_owned(count) {
            Ok(permit) => Ok(Permit { _permit: permit }),
            Err(TryAcquireError::NoPermits) => Err(ApiError::QueueFull { wanted: count, places: self.all }),
            // Nobody closes it but the end of the server.
            Err(TryAcquireError::Closed) => Err(ApiError::Draining),
        }
    }

    /// How many places there are.
    pub(crate) fn all(&self) -> u32 {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_refused_when_taken_and_free_again_when_given_back() {
        let places = Places::new(3);
        let two = places.take(2).expect("two of three");
        assert!(matches!(places.take(2), Err(ApiError::QueueFull { wanted: 2, places: 3 })));
        let _one = places.take(1).expect("the third");
        drop(two);
        assert!(places.take(2).is_ok());
    }
}
