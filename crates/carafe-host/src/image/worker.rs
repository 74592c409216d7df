//! One of a model's workers: a thread with a guest of its own, fed from the queue that all of them
//! share.
//!
//! A guest that traps over an image is replaced before this worker's next one; the others never
//! notice.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::instance::{ImageInstance, ImageTemplate};
use super::{Classification, Job};
use crate::Error;
use crate::guest::Guest;

/// Jobs for whichever worker is free first.
pub(super) type Queue = Arc<Mutex<Receiver<Job>>>;

/// What a worker has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerCounts {
    /// Whether it works on an image now.
    pub(super) works: bool,
    /// Most bytes of linear memory that one of its guests has had.
    pub(super) guest_memory: u64,
    /// Guests that trapped.
    pub(super) replaced: u64,
}

/// A worker's thread. Dropping it waits until the thread has ended, which it does at the end of the
/// queue.
pub(super) struct Worker {
    counts: Arc<Mutex<WorkerCounts>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Opens the worker's first guest and starts its thread.
    pub(super) fn start(name: &str, template: &Arc<ImageTemplate>, queue: &Queue) -> Result<Self, Error> {
        let guest = Guest::open(template.clone())?;
        let counts = WorkerCounts { guest_memory: guest.memory(), ..WorkerCounts::default() };
        let counts = Arc::new(Mutex::new(counts));
        let (queue, reported) = (queue.clone(), counts.clone());
        let run = move || Running { guest, counts: reported }.work(&queue);
        let thread = thread::Builder::new().name(format!("carafe-{name}")).spawn(run).map_err(Error::Thread)?;
        Ok(Self { counts, thread: Some(thread) })
    }

    pub(super) fn counts(&self) -> WorkerCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

/// What a worker's thread works with.
struct Running {
    guest: Guest<ImageInstance>,
    counts: Arc<Mutex<WorkerCounts>>,
}

impl Running {
    /// Classifies what comes, until the queue has ended. An image whose sender has gone is passed
    /// over.
    fn work(mut self, queue: &Queue) {
        while let Some(job) = next(queue) {
            if job.answer.is_closed() {
                continue;
            }
            self.update(|counts| counts.works = true);
            let result = self.classify(&job);
            // Off the counts before the answer: its receiver may send the next image at once.
            drop(job.in_flight);
            let (memory, replaced) = (self.guest.memory(), self.guest.replaced());
            self.update(|counts| *counts = WorkerCounts { works: false, guest_memory: memory, replaced });
            // A sender that waits no more does not want to know.
            let _ = job.answer.send(result);
        }
    }

    fn classify(&mut self, job: &Job) -> Result<Classification, Error> {
        let queued = job.sent.elapsed();
        let image = (*job.image).as_ref();
        let mut result = self.guest.call(|guest| guest.classify(image, job.top, || job.in_flight.load()));
        if let Ok(classification) = &mut result {
            classification.times.queue = queued;
        }
        result
    }

    fn update(&self, update: impl FnOnce(&mut WorkerCounts)) {
        update(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The next job, once there is one; nothing at the end of the queue. The one worker that waits
/// holds the lock, the others wait for that.
fn next(queue: &Queue) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
