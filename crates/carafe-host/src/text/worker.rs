//! The thread that runs one text model's guest, and what it does when the guest traps.
//!
//! A guest that traps is dropped and a new one opened. Nothing of a request is lost with it: the
//! generator's state follows from the request, its seed and the tokens it has, so the worker keeps
//! those tokens in `resume` as they are delivered and submits the request again with them. A trap
//! in `submit` is that request's own. After a trap in `step` any request in the guest may be the
//! one at fault: from then on each runs alone, so that the one that traps alone fails alone.

use std::collections::{BTreeMap, VecDeque};
use std::mem::replace;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::instance::{GeneratorInstance, StepReport, TextTemplate};
use super::{Event, EventKind, Failure, FailureKind, Request, RequestTimes, Stats, StatsCell};
use crate::Error;
use crate::guest::Guest;

/// What a handle asks of the worker.
pub(super) enum Command {
    /// Run sequences that share a request and differ in their seeds alone.
    Submit {
        /// Its own seed is not used.
        request: Arc<Request>,
        sequences: Vec<NewSequence>,
    },
    /// End the sequence of this id.
    Cancel(u64),
    /// End the thread.
    Stop,
}

/// A sequence on its way to the guest.
pub(super) struct NewSequence {
    pub(super) seed: u64,
    pub(super) events: mpsc::UnboundedSender<(EventKind, RequestTimes)>,
    /// Gets the sequence's id, or why it was refused.
    pub(super) answer: oneshot::Sender<Result<u64, Error>>,
    pub(super) submitted: Instant,
}

/// A request between its arrival and its end.
struct Running {
    request: Arc<Request>,
    seed: u64,
    /// The tokens that were delivered.
    resume: Vec<u32>,
    events: mpsc::UnboundedSender<(EventKind, RequestTimes)>,
    answer: Option<oneshot::Sender<Result<u64, Error>>>,
    /// The guest's own number for it; none while it is in the queue.
    guest_id: Option<u64>,
    submitted: Instant,
    times: RequestTimes,
    /// Whether the guest has begun to work on it.
    started: bool,
    /// Whether its start was emitted.
    emitted_start: bool,
    echoed: bool,
}

impl Running {
    /// The request as the guest is to have it. A copy, which lives no longer than the call that
    /// hands it over.
    fn to_submit(&self) -> Request {
        let mut request = Request { resume: self.resume.clone(), ..(*self.request).clone() };
        request.sampling.seed = self.seed;
        request
    }
}

/// The worker's state.
pub(super) struct Worker {
    guest: Guest<GeneratorInstance>,
    commands: Receiver<Command>,
    stats: StatsCell,
    running: BTreeMap<u64, Running>,
    /// Ids of sequences that are to be submitted to the guest, in order.
    queue: VecDeque<u64>,
    /// Whether requests run one at a time because one of them has made a guest trap.
    isolating: bool,
    next_id: u64,
}

impl Worker {
    /// Opens the guest at once, so that a model that it refuses is refused before anything runs.
    pub(super) fn new(
        template: Arc<TextTemplate>,
        commands: Receiver<Command>,
        stats: StatsCell,
    ) -> Result<Self, Error> {
        let guest = Guest::open(template)?;
        let (running, queue) = (BTreeMap::new(), VecDeque::new());
        let worker = Self { guest, commands, stats, running, queue, isolating: false, next_id: 0 };
        worker.note_guest();
        Ok(worker)
    }

    /// Serves commands and steps the guest until the handle is dropped.
    pub(super) fn run(mut self) {
        while self.serve_commands() {
            self.admit();
            self.step();
        }
    }

    /// Takes all commands that wait, and waits for one if there is nothing to do. False when it is
    /// time to end.
    fn serve_commands(&mut self) -> bool {
        loop {
            let command = if self.running.is_empty() {
                self.commands.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.commands.try_recv()
            };
            match command {
                Ok(Command::Submit { request, sequences }) => {
                    sequences.into_iter().for_each(|sequence| self.enqueue(request.clone(), sequence));
                }
                Ok(Command::Cancel(id)) => self.cancel(id),
                Err(TryRecvError::Empty) => return true,
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn enqueue(&mut self, request: Arc<Request>, sequence: NewSequence) {
        let NewSequence { seed, events, answer, submitted } = sequence;
        let id = self.next_id;
        self.next_id += 1;
        let running = Running {
            resume: request.resume.clone(),
            request,
            seed,
            events,
            answer: Some(answer),
            guest_id: None,
            submitted,
            times: RequestTimes::default(),
            started: false,
            emitted_start: false,
            echoed: false,
        };
        self.running.insert(id, running);
        self.queue.push_back(id);
    }

    /// Submits what the queue holds: all of it, or one request at a time while a trap is being
    /// traced.
    fn admit(&mut self) {
        while !(self.isolating && self.running.values().any(|running| running.guest_id.is_some())) {
            let Some(id) = self.queue.pop_front() else {
                self.isolating = false;
                return;
            };
            match self.submit(id) {
                Ok(Ok(guest_id)) => self.accept(id, guest_id),
                Ok(Err(refusal)) => self.refuse(id, &refusal),
                Err(trap) => {
                    self.requeue();
                    self.fail(id, trap);
                }
            }
        }
    }

    fn submit(&mut self, id: u64) -> Result<Result<u64, super::RequestError>, Error> {
        // An id is in the queue only while its request runs.
        let request = self.running.get(&id).map(Running::to_submit).ok_or(Error::Stopped)?;
        self.guest.call(|guest| guest.submit(&request))
    }

    /// Refuses a sequence, and those that wait with the same request: what the guest has against it
    /// is not the seed.
    fn refuse(&mut self, id: u64, refusal: &super::RequestError) {
        let Some(request) = self.running.get(&id).map(|running| running.request.clone()) else { return };
        let shares = |id: &u64| self.running.get(id).is_some_and(|it| Arc::ptr_eq(&it.request, &request));
        let others: Vec<u64> = self.queue.iter().copied().filter(shares).collect();
        for id in others.into_iter().chain([id]) {
            self.fail(id, Error::Request(refusal.clone()));
        }
    }

    fn accept(&mut self, id: u64, guest_id: u64) {
        let Some(running) = self.running.get_mut(&id) else { return };
        running.guest_id = Some(guest_id);
        if let Some(answer) = running.answer.take() {
            // A caller that waits no more has dropped the generation's handle with its events.
            if answer.send(Ok(id)).is_err() {
                self.cancel(id);
            }
        }
    }

    fn step(&mut self) {
        if self.running.values().all(|running| running.guest_id.is_none()) {
            return;
        }
        let began = Instant::now();
        match self.guest.call(GeneratorInstance::step) {
            Ok((events, report)) => {
                self.note_starts(&events, began);
                self.count(&report);
                events.into_iter().for_each(|event| self.deliver(event));
            }
            Err(trap) => self.trace(trap),
        }
    }

    /// After a trap that may be any request's: alone in the guest, it is that one's; else each of
    /// them runs alone from now on.
    fn trace(&mut self, trap: Error) {
        let suspects: Vec<u64> = self.ids_in_guest();
        self.requeue();
        match suspects[..] {
            [alone] => self.fail(alone, trap),
            _ => self.isolating = true,
        }
    }

    /// After a trap: the requests of the guest go back to the head of the queue, for its next
    /// instance.
    fn requeue(&mut self) {
        self.note_guest();
        // Its KV cache went with the guest.
        self.stats.update(|stats| stats.note_state(&Stats::default()));
        for id in self.ids_in_guest().into_iter().rev() {
            if let Some(running) = self.running.get_mut(&id) {
                running.guest_id = None;
            }
            self.queue.push_front(id);
        }
    }

    fn ids_in_guest(&self) -> Vec<u64> {
        let in_guest = self.running.iter().filter(|(_, running)| running.guest_id.is_some());
        in_guest.map(|(id, _)| *id).collect()
    }

    fn deliver(&mut self, event: Event) {
        let by_guest_id = |running: &Running| running.guest_id == Some(event.request);
        let Some((&id, running)) = self.running.iter_mut().find(|(_, running)| by_guest_id(running)) else {
            return;
        };
        let ends = matches!(event.kind, EventKind::Finished(_) | EventKind::Failed(_));
        match &event.kind {
            // The start of a request that was submitted again was emitted already, and perhaps its
            // echo.
            EventKind::Started(_) if replace(&mut running.emitted_start, true) => return,
            EventKind::Prompt(_) if replace(&mut running.echoed, true) => return,
            EventKind::Token(token) => running.resume.push(token.id),
            _ => {}
        }
        let is_heard = running.events.send((event.kind, running.times)).is_ok();
        if ends {
            self.running.remove(&id);
        } else if !is_heard {
            self.cancel(id);
        }
    }

    fn fail(&mut self, id: u64, error: Error) {
        self.queue.retain(|queued| *queued != id);
        let Some(running) = self.running.remove(&id) else { return };
        // In both cases a receiver that is gone does not want to know.
        match running.answer {
            Some(answer) => drop(answer.send(Err(error))),
            None => drop(running.events.send((failed(&error), running.times))),
        }
    }

    fn cancel(&mut self, id: u64) {
        self.queue.retain(|queued| *queued != id);
        let Some(guest_id) = self.running.remove(&id).and_then(|running| running.guest_id) else { return };
        match self.guest.call(|guest| guest.cancel(guest_id)) {
            // Perhaps no step follows that would tell.
            Ok(now) => self.stats.update(|stats| stats.note_state(&now)),
            Err(trap) => self.trace(trap),
        }
    }

    /// Ends the wait of the requests that the guest has begun to work on in a step.
    fn note_starts(&mut self, events: &[Event], began: Instant) {
        let starts = events.iter().filter(|event| matches!(event.kind, EventKind::Started(_)));
        let ids: Vec<u64> = starts.map(|event| event.request).collect();
        let is_new = |running: &&mut Running| !running.started && running.guest_id.is_some_and(|id| ids.contains(&id));
        for running in self.running.values_mut().filter(is_new) {
            running.started = true;
            running.times.queue = began.saturating_duration_since(running.submitted);
        }
    }

    /// Adds a step's time to the model's, and to that of each request that it worked on.
    fn count(&mut self, report: &StepReport) {
        self.note_guest();
        for running in self.running.values_mut().filter(|running| running.started) {
            running.times.steps += 1;
            running.times.step_time += report.all;
            running.times.model_time += report.model;
        }
        self.stats.update(|stats| {
            stats.steps += 1;
            stats.step_time += report.all;
            stats.model_time += report.model;
            stats.host_time += report.host;
            stats.inference_time += report.inference;
            stats.add(&report.before, &report.now);
        });
    }

    fn note_guest(&self) {
        let (memory, replaced) = (self.guest.memory(), self.guest.replaced());
        self.stats.update(|stats| (stats.generator_memory, stats.generators_replaced) = (memory, replaced));
    }
}

/// The event of a request that ended by a failure of the guest.
fn failed(error: &Error) -> EventKind {
    EventKind::Failed(Failure { kind: FailureKind::Guest, message: error.to_string() })
}
