//! A text model in the sandbox: requests in, events out.
//!
//! [`TextModel`] is the handle; a thread of its own (`worker`) owns the guest's instance (`instance`) and steps it while there is work.
//! The types of requests and events are those of `wit/text.wit`.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use crate::bindings::text::exports::carafe::guests::generation::{
    EchoedPrompt, Event, EventKind, FinishReason, Finished, GeneratedToken, Prompt, PromptToken, Request, RequestError,
    RequestErrorCode, Sampling, Started, TokenLogprob, TokenLogprobs,
};
use crate::bindings::text::exports::carafe::guests::generation::{Model, Stats, TensorNames};
use crate::guest::Surroundings;
use crate::load::LoadedGraph;
use crate::{Component, Error, Limits, Sandbox};
use instance::Blueprint;
use worker::{Command, NewSequence, Worker};

mod instance;
mod worker;

impl Request {
    /// Always the most probable token, end of text ignored: the same tokens for everybody, for comparisons.
    #[must_use]
    pub fn greedy(prompt: Prompt, max_tokens: u32) -> Self {
        let sampling = Sampling {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        };
        Self {
            prompt,
            max_tokens,
            max_tokens_is_default: false,
            sampling,
            stop: Vec::new(),
            ignore_end_of_text: true,
            min_tokens: 0,
            logprobs: None,
            echo: false,
            resume: Vec::new(),
        }
    }
}

/// Counters of a text model since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextStats {
    /// Most bytes of linear memory that the guest has had.
    pub guest_memory: u64,
    /// Calls of the guest's `step`.
    pub steps: u64,
    /// Time of those calls.
    pub step_time: Duration,
    /// The part of it that computes took: OpenVINO, and the checks and copies around it.
    pub model_time: Duration,
    /// The part of it that computes took with all that the host does for them: its tensors taken and kept as well.
    pub host_time: Duration,
    /// The part of it that OpenVINO alone took.
    pub inference_time: Duration,
    /// Guests that were replaced after a trap.
    pub replaced: u64,
    /// Tokens of prompts that the model has read.
    pub prompt_tokens: u64,
    /// Tokens of prompts that it had read already, for another request.
    pub shared_tokens: u64,
    /// Tokens that were chosen.
    pub generated_tokens: u64,
    /// Tokens that were guessed ahead.
    pub draft_tokens: u64,
    /// Those of them that were right.
    pub accepted_tokens: u64,
}

impl TextStats {
    /// Adds what a guest has counted in a step.
    fn add(&mut self, before: &Stats, now: &Stats) {
        self.prompt_tokens += now.prompt_tokens.saturating_sub(before.prompt_tokens);
        self.shared_tokens += now.shared_tokens.saturating_sub(before.shared_tokens);
        self.generated_tokens += now.generated_tokens.saturating_sub(before.generated_tokens);
        self.draft_tokens += now.draft_tokens.saturating_sub(before.draft_tokens);
        self.accepted_tokens += now.accepted_tokens.saturating_sub(before.accepted_tokens);
    }
}

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

/// The ticket of a sequence, or why it was refused.
type Answer = oneshot::Receiver<Result<u64, Error>>;

/// A text model that runs. Dropping it ends its thread and the requests that run.
pub struct TextModel {
    commands: Sender<Command>,
    stats: Arc<Mutex<TextStats>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl TextModel {
    /// Opens a guest for a loaded text model and starts the thread that runs it.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no text model or its tokenizer is not the manifest's, [`Error::Open`] if the guest refuses it.
    pub fn start(sandbox: &Sandbox, model: &LoadedGraph, limits: Limits) -> Result<Self, Error> {
        Self::start_with(sandbox, &sandbox.text_guest()?, model, limits)
    }

    /// As [`TextModel::start`], with another component of the same world; for tests of the sandbox itself.
    ///
    /// # Errors
    /// As [`TextModel::start`].
    pub fn start_with(
        sandbox: &Sandbox,
        component: &Component,
        model: &LoadedGraph,
        limits: Limits,
    ) -> Result<Self, Error> {
        let surroundings = Surroundings { sandbox: sandbox.clone(), graphs: model.graphs(), limits };
        let description = description(model, limits.draft_tokens)?;
        let blueprint = Blueprint::new(component, surroundings, description, model.tokenizer()?)?;
        let (commands, receiver) = channel();
        let stats = Arc::new(Mutex::new(TextStats::default()));
        let worker = Worker::new(blueprint, receiver, stats.clone())?;
        let name = format!("carafe-{}", model.name());
        let thread = thread::Builder::new().name(name).spawn(move || worker.run()).map_err(Error::Thread)?;
        Ok(Self { commands, stats, thread: Some(thread) })
    }

    /// Hands a request to the guest; resolves when the guest has accepted or refused it.
    ///
    /// # Errors
    /// [`Error::Request`] with the guest's refusal, [`Error::Trap`] if the guest failed over this request, [`Error::Stopped`].
    pub async fn submit(&self, request: Request) -> Result<Generation, Error> {
        let (generation, answer) = self.send_one(request)?;
        generation.accepted(answer.await)
    }

    /// Hands over as many sequences as there are seeds, which share the request and differ in their
    /// seeds alone; all of them are accepted, or none runs. The request's own seed is not used, and
    /// the request is held once, however many they are.
    ///
    /// # Errors
    /// As [`TextModel::submit`].
    pub async fn submit_seeds(&self, request: Arc<Request>, seeds: &[u64]) -> Result<Vec<Generation>, Error> {
        let mut generations = Vec::new();
        for (generation, answer) in self.send(request, seeds)? {
            generations.push(generation.accepted(answer.await)?);
        }
        Ok(generations)
    }

    /// As [`TextModel::submit`], for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`TextModel::submit`].
    pub fn submit_blocking(&self, request: Request) -> Result<Generation, Error> {
        let (generation, answer) = self.send_one(request)?;
        generation.accepted(answer.blocking_recv())
    }

    /// What has been counted so far.
    #[must_use]
    pub fn stats(&self) -> TextStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_one(&self, request: Request) -> Result<(Generation, Answer), Error> {
        let seed = request.sampling.seed;
        self.send(Arc::new(request), &[seed])?.pop().ok_or(Error::Stopped)
    }

    fn send(&self, request: Arc<Request>, seeds: &[u64]) -> Result<Vec<(Generation, Answer)>, Error> {
        let (mut sequences, mut generations) = (Vec::new(), Vec::new());
        for &seed in seeds {
            let (events, receiver) = mpsc::unbounded_channel();
            let (answer, answered) = oneshot::channel();
            sequences.push(NewSequence { seed, events, answer });
            let (commands, times) = (self.commands.clone(), RequestTimes::default());
            generations.push((Generation { ticket: None, events: receiver, times, commands }, answered));
        }
        self.commands.send(Command::Submit { request, sequences }).map_err(|_| Error::Stopped)?;
        Ok(generations)
    }
}

impl Drop for TextModel {
    fn drop(&mut self) {
        // The worker may be gone already; then there is nothing to stop.
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

/// A request that runs. Dropping it cancels the request by the end of the current step.
pub struct Generation {
    ticket: Option<u64>,
    events: mpsc::UnboundedReceiver<(EventKind, RequestTimes)>,
    times: RequestTimes,
    commands: Sender<Command>,
}

impl Generation {
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

    fn accepted(mut self, answer: Result<Result<u64, Error>, oneshot::error::RecvError>) -> Result<Self, Error> {
        self.ticket = Some(answer.map_err(|_| Error::Stopped)??);
        Ok(self)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            // A worker that is gone runs nothing that could be cancelled.
            let _ = self.commands.send(Command::Cancel(ticket));
        }
    }
}

/// The manifest's facts in the guest's words.
fn description(model: &LoadedGraph, draft_tokens: u32) -> Result<Model, Error> {
    use carafe_models::manifest::Role;
    let (text, bounds) = model.text()?;
    let input = |role| model.tensor_name(role);
    Ok(Model {
        graph: model.name().to_owned(),
        tensors: TensorNames {
            input_ids: input(Role::InputIds),
            position_ids: input(Role::PositionIds),
            attention_mask: input(Role::AttentionMask),
            beam_idx: input(Role::BeamIdx),
            logit_idx: input(Role::LogitIdx),
            logits: input(Role::Logits),
        },
        context_length: text.context_length,
        vocabulary_size: text.vocabulary_size,
        end_of_text: text.end_of_text.clone(),
        max_batch: bounds.batch,
        max_step: bounds.step,
        max_logits: bounds.logits,
        max_positions: bounds.positions,
        draft_tokens,
    })
}
