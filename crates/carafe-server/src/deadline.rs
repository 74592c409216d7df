//! How long a request may take: until its own time is up, or until the server cuts off what still
//! runs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::error::ApiError;
use crate::phase::Phase;

/// What a handler may take to answer when the time of its request is up.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The end of a request's time.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
    phase: watch::Receiver<Phase>,
}

impl Deadline {
    /// The deadline of a request that starts now and may take this long, in a server whose phase is
    /// followed.
    pub(crate) fn starting_now(limit: Duration, phase: watch::Receiver<Phase>) -> Self {
        Self { at: Instant::now() + limit, limit, phase }
    }

    /// The deadline that a handler which keeps this one will meet: there is time to answer with what
    /// there is.
    pub(crate) fn of_answer(&self) -> Self {
        Self { at: self.at + ANSWER_TIME, ..self.clone() }
    }

    /// Waits for `work`, but no longer than there is time.
    pub(crate) async fn bound<T>(&mut self, work: impl Future<Output = T>) -> Result<T, ApiError> {
        tokio::select! {
            result = work => Ok(result),
            () = sleep_until(self.at) => Err(ApiError::Timeout { limit: self.limit }),
            // A server that is gone cuts off as well.
            _ = self.phase.wait_for(|phase| *phase == Phase::Cutting) => Err(ApiError::Draining),
        }
    }
}
