//! One of a model's workers: a thread with a guest of its own, fed from the queue that all of them share.
//!
//! A guest that traps over an image is replaced before this worker's next one; the others never notice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::instance::{Blueprint, Instance};
use super::{Classification, Job};
use crate::Error;

/// Jobs for whichever worker is free first.
pub(super) type Queue = Arc<Mutex<Receiver<Job>>>;

/// A worker's thread. Dropping it waits until the thread has ended, which it does at the end of the queue.
pub(super) struct Worker {
    guest_memory: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Opens the worker's first guest and starts its thread.
    pub(super) fn start(name: &str, blueprint: &Arc<Blueprint>, queue: &Queue) -> Result<Self, Error> {
        let instance = Instance::open(blueprint)?;
        let guest_memory = Arc::new(AtomicU64::new(instance.guest_memory()));
        let (blueprint, queue, reported) = (blueprint.clone(), queue.clone(), guest_memory.clone());
        let run = move || Running { blueprint, instance: Some(instance), guest_memory: reported }.work(&queue);
        let thread = thread::Builder::new().name(format!("carafe-{name}")).spawn(run).map_err(Error::Thread)?;
        Ok(Self { guest_memory, thread: Some(thread) })
    }

    /// Most bytes of linear memory that one of the worker's guests has had.
    pub(super) fn guest_memory(&self) -> u64 {
        self.guest_memory.load(Ordering::Relaxed)
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
    blueprint: Arc<Blueprint>,
    instance: Option<Instance>,
    guest_memory: Arc<AtomicU64>,
}

impl Running {
    /// Classifies what comes, until the queue has ended. An image whose sender has gone is passed over.
    fn work(mut self, queue: &Queue) {
        while let Some(job) = next(queue) {
            if job.answer.is_closed() {
                continue;
            }
            let result = self.classify(&job);
            // Off the count before the answer: whoever has it may send the next image at once.
            drop(job.place);
            // Whoever does not wait any more does not want to know.
            let _ = job.answer.send(result);
        }
    }

    fn classify(&mut self, job: &Job) -> Result<Classification, Error> {
        let queued = job.sent.elapsed();
        let mut guest = self.instance.take().map_or_else(|| Instance::open(&self.blueprint), Ok)?;
        let mut result = guest.classify((*job.image).as_ref(), job.top, || job.place.company());
        self.guest_memory.fetch_max(guest.guest_memory(), Ordering::Relaxed);
        // A guest that trapped cannot be entered again.
        self.instance = (!matches!(result, Err(Error::Trap(_)))).then_some(guest);
        if let Ok(classification) = &mut result {
            classification.times.queue = queued;
        }
        result
    }
}

/// The next job, once there is one; nothing at the end of the queue. The one worker that waits holds the lock, the others wait for that.
fn next(queue: &Queue) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
