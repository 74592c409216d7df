//! An image model in the sandbox: an encoded image in, labels out.
//!
//! Three calls into the guest (decode, resize, classify), each timed. A model has one queue and
//! several workers, each a thread that owns a guest of its own, so that images are decoded on
//! several processors at once.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use crate::bindings::image::exports::carafe::guests::classification::{Error as ImageError, Label};
use crate::guest::GuestConfig;
use crate::load::LoadedGraph;
use crate::{Error, Limits, Sandbox};
use instance::{ImageTemplate, Load};
use worker::{Worker, WorkerCounts};

mod description;
mod instance;
mod worker;

/// What an image shows, and what it took to find out.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The most probable labels, best first.
    pub labels: Vec<Label>,
    /// Width of the decoded image.
    pub width: u32,
    /// Height of the decoded image.
    pub height: u32,
    /// The image as the model saw it.
    pub pixels: Pixels,
    /// Time of the three calls.
    pub times: ImageTimes,
    /// Most bytes of linear memory that the guest which did it has had.
    pub guest_memory: u64,
}

/// An image as a model sees it.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// Time of the calls that a classification takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageTimes {
    /// Waiting for the images before.
    pub queue: Duration,
    /// Reading the file's format.
    pub decode: Duration,
    /// Scaling to the model's size.
    pub resize: Duration,
    /// Running the graph and reading its scores.
    pub model: Duration,
}

/// Counters of an image model since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageStats {
    /// Images that are worked on now.
    pub running: u64,
    /// Images that wait now.
    pub waiting: u64,
    /// Most bytes of linear memory that the guests of all workers have had, added up.
    pub guest_memory: u64,
    /// Guests that were replaced after a trap.
    pub replaced: u64,
}

/// One image to classify.
struct Job {
    image: Box<dyn AsRef<[u8]> + Send>,
    top: u32,
    sent: Instant,
    answer: oneshot::Sender<Result<Classification, Error>>,
    in_flight: InFlight,
}

/// Counts images that wait or are worked on; one less when it is dropped.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn count(images: &Arc<AtomicUsize>) -> Self {
        images.fetch_add(1, Ordering::Relaxed);
        Self(images.clone())
    }

    fn load(&self) -> Load {
        if self.0.load(Ordering::Relaxed) > 1 { Load::Several } else { Load::One }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An image model that runs. Dropping it ends its threads.
pub struct ImageModel {
    jobs: Option<Sender<Job>>,
    images: Arc<AtomicUsize>,
    workers: Vec<Worker>,
}

impl ImageModel {
    /// Opens a guest for each of `workers` and starts the threads that run them. `limits` are each
    /// guest's own.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no image model or its labels are not the manifest's,
    /// [`Error::Open`] if the guest refuses it.
    pub fn start(sandbox: &Sandbox, model: &LoadedGraph, limits: Limits, workers: NonZeroU32) -> Result<Self, Error> {
        let config = GuestConfig { sandbox: sandbox.clone(), graphs: model.graphs(), limits };
        let template = Arc::new(ImageTemplate::new(config, model)?);
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let start = |number| Worker::start(&format!("{}-{number}", model.name()), &template, &queue);
        // Before any worker: if a later one fails to start, the earlier ones end as soon as the
        // sender is dropped.
        let (jobs, images) = (Some(jobs), Arc::default());
        let mut model = Self { jobs, images, workers: Vec::new() };
        for number in 1..=workers.get() {
            model.workers.push(start(number)?);
        }
        Ok(model)
    }

    /// Classifies an encoded image (JPEG, PNG or BMP); the `top` most probable labels.
    ///
    /// # Errors
    /// [`Error::Image`] with the guest's refusal, [`Error::Trap`] if the guest failed over this
    /// image, [`Error::Stopped`].
    pub async fn classify(&self, image: impl AsRef<[u8]> + Send + 'static, top: u32) -> Result<Classification, Error> {
        self.send(Box::new(image), top)?.await.map_err(|_| Error::Stopped)?
    }

    /// As [`ImageModel::classify`], for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`ImageModel::classify`].
    pub fn classify_blocking(
        &self,
        image: impl AsRef<[u8]> + Send + 'static,
        top: u32,
    ) -> Result<Classification, Error> {
        self.send(Box::new(image), top)?.blocking_recv().map_err(|_| Error::Stopped)?
    }

    /// What has been counted so far.
    #[must_use]
    pub fn stats(&self) -> ImageStats {
        let all = self.images.load(Ordering::Relaxed);
        let counts: Vec<WorkerCounts> = self.workers.iter().map(Worker::counts).collect();
        let running = counts.iter().filter(|counts| counts.works).count();
        ImageStats {
            running: running as u64,
            // Two counts, read one after the other.
            waiting: all.saturating_sub(running) as u64,
            guest_memory: counts.iter().map(|counts| counts.guest_memory).sum(),
            replaced: counts.iter().map(|counts| counts.replaced).sum(),
        }
    }

    fn send(
        &self,
        image: Box<dyn AsRef<[u8]> + Send>,
        top: u32,
    ) -> Result<oneshot::Receiver<Result<Classification, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Stopped)?;
        let in_flight = InFlight::count(&self.images);
        jobs.send(Job { image, top, sent: Instant::now(), answer, in_flight }).map_err(|_| Error::Stopped)?;
        Ok(answered)
    }
}

impl Drop for ImageModel {
    fn drop(&mut self) {
        // With the last sender gone the workers see the end of the queue; then each is joined as it
        // is dropped.
        self.jobs = None;
        self.workers.clear();
    }
}

impl ImageError {
    /// The guest's words, whatever kind of refusal it is.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidImage(message)
            | Self::TooLarge(message)
            | Self::Unsupported(message)
            | Self::InvalidArgument(message)
            | Self::Model(message) => message,
        }
    }
}
