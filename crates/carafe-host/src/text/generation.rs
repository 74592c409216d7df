//! A request to a text model, as its client holds it: its events, and how long it took.

use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::EventKind;
use super::worker::Command;
use crate::Error;

/// How long a request has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestTimes {
    /// From its submission until the guest started it.
    pub queue: Duration,
    /// Steps of the guest since then.
    pub steps: u64,
    /// Time of those steps.
    pub step_time: Duration,
    /// The part of it that OpenVINO took.
    pub model_time: Duration,
}

/// The id of a sequence, or why it was refused.
pub(super) type Answer = oneshot::Receiver<Result<u64, Error>>;

/// A request that runs. Dropping it cancels the request by the end of the current step.
pub struct Generation {
    id: Option<u64>,
    events: mpsc::UnboundedReceiver<(EventKind, RequestTimes)>,
    times: RequestTimes,
    commands: Sender<Command>,
}

impl Generation {
    /// A request on its way to the worker that takes these commands.
    pub(super) fn new(events: mpsc::UnboundedReceiver<(EventKind, RequestTimes)>, commands: Sender<Command>) -> Self {
        Self { id: None, events, times: RequestTimes::default(), commands }
    }

    /// The next event; none after `Finished` or `Failed`.
    pub async fn next(&mut self) -> Option<EventKind> {
        let event = self.events.recv().await;
        self.note(event)
    }

    /// As [`Generation::next`], for callers outside an async runtime.
    pub fn next_blocking(&mut self) -> Option<EventKind> {
        let event = self.events.blocking_recv();
        self.note(event)
    }

    /// How long the request had taken when its latest event happened.
    #[must_use]
    pub fn times(&self) -> RequestTimes {
        self.times
    }

    fn note(&mut self, event: Option<(EventKind, RequestTimes)>) -> Option<EventKind> {
        let (event, times) = event?;
        self.times = times;
        Some(event)
    }

    /// The same with its id, or why it was refused.
    pub(super) fn accepted(
        mut self,
        answer: Result<Result<u64, Error>, oneshot::error::RecvError>,
    ) -> Result<Self, Error> {
        self.id = Some(answer.map_err(|_| Error::Stopped)??);
        Ok(self)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // A worker that is gone runs nothing that could be cancelled.
            let _ = self.commands.send(Command::Cancel(id));
        }
    }
}
