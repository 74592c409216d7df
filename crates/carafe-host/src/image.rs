//! An image model in the sandbox: an encoded image in, labels out.
//!
//! Three calls into the guest (decode, resize, classify), each timed. A thread of its own owns the guest; one that traps over an image
//! is replaced before the next.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use crate::bindings::image::exports::carafe::guests::classification::{Error as ImageError, Label};
use crate::guest::Surroundings;
use crate::load::LoadedGraph;
use crate::{Error, Limits, Sandbox};
use instance::{Blueprint, Instance};

mod description;
mod instance;

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
    /// Most bytes of linear memory that the guest has had.
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

/// One image to classify.
struct Job {
    image: Vec<u8>,
    top: u32,
    sent: Instant,
    answer: oneshot::Sender<Result<Classification, Error>>,
}

/// An image model that runs. Dropping it ends its thread.
pub struct ImageModel {
    jobs: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ImageModel {
    /// Opens a guest for a loaded image model and starts the thread that runs it.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no image model or its labels are not the manifest's, [`Error::Open`] if the guest refuses it.
    pub fn start(sandbox: &Sandbox, model: &LoadedGraph, limits: Limits) -> Result<Self, Error> {
        let surroundings = Surroundings { sandbox: sandbox.clone(), graphs: model.graphs(), limits };
        let blueprint = Blueprint::new(surroundings, description::model(model)?, model.labels()?)?;
        let instance = Instance::open(&blueprint)?;
        let (jobs, receiver) = channel();
        let name = format!("carafe-{}", model.name());
        let run = move || work(&blueprint, instance, &receiver);
        let thread = thread::Builder::new().name(name).spawn(run).map_err(Error::Thread)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Classifies an encoded image (JPEG, PNG or BMP); the `top` most probable labels.
    ///
    /// # Errors
    /// [`Error::Image`] with the guest's refusal, [`Error::Trap`] if the guest failed over this image, [`Error::Stopped`].
    pub async fn classify(&self, image: Vec<u8>, top: u32) -> Result<Classification, Error> {
        self.send(image, top)?.await.map_err(|_| Error::Stopped)?
    }

    /// As [`ImageModel::classify`], for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`ImageModel::classify`].
    pub fn classify_blocking(&self, image: Vec<u8>, top: u32) -> Result<Classification, Error> {
        self.send(image, top)?.blocking_recv().map_err(|_| Error::Stopped)?
    }

    fn send(&self, image: Vec<u8>, top: u32) -> Result<oneshot::Receiver<Result<Classification, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Stopped)?;
        jobs.send(Job { image, top, sent: Instant::now(), answer }).map_err(|_| Error::Stopped)?;
        Ok(answered)
    }
}

impl Drop for ImageModel {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

/// Classifies what comes, until the handle is dropped. An image whose sender has gone is passed over.
fn work(blueprint: &Blueprint, first: Instance, jobs: &Receiver<Job>) {
    let mut instance = Some(first);
    while let Ok(Job { image, top, sent, answer }) = jobs.recv() {
        if answer.is_closed() {
            continue;
        }
        let queue = sent.elapsed();
        let guest = instance.take().map_or_else(|| Instance::open(blueprint), Ok);
        let mut result = guest.and_then(|mut guest| {
            let result = guest.classify(&image, top);
            // A guest that trapped cannot be entered again.
            instance = (!matches!(result, Err(Error::Trap(_)))).then_some(guest);
            result
        });
        if let Ok(classification) = &mut result {
            classification.times.queue = queue;
        }
        // Whoever does not wait any more does not want to know.
        let _ = answer.send(result);
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
