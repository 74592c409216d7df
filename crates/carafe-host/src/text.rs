//! A text model in the sandbox: requests in, events out.
//!
//! [`TextModel`] is the handle. Two threads have a guest each (`instance`): one prepares requests
//! (`preparing`), the other steps those that run, while there is work (`worker`). The types of
//! requests and events are those of `wit/text.wit`.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

pub use crate::bindings::text::exports::carafe::guests::generation::{
    Chat, ChatTemplate, EchoedPrompt, Event, EventKind, Failure, FailureKind, FinishReason, Finished, GeneratedToken,
    Model, PrefixSharing, Prompt, PromptToken, Reasoning, ReasoningTags, Request, RequestError, RequestErrorCode,
    Sampling, Started, Stats, TextPrompt, TokenLogprob, TokenLogprobs,
};
use crate::guest::GuestConfig;
use crate::load::LoadedGraph;
use crate::tokenizer::Token;
use crate::{Component, Error, Limits, Sandbox};
use generation::Answer;
pub use generation::{Generation, RequestTimes};
use instance::TextTemplate;
use preparing::{Preparing, Submission, Task};
use stats::StatsCell;
pub use stats::{BatchSizes, TextStats};
use worker::{Command, NewSequence, Worker};

mod generation;
mod instance;
mod preparing;
mod stats;
mod worker;

impl Prompt {
    /// A text to which the tokenizer adds what it adds (a BOS token), and in which special tokens
    /// are text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPrompt { text: text.into(), add_special_tokens: true, parse_special: false })
    }
}

impl Request {
    /// Always the most probable token, EOS ignored: the same tokens for everybody, for comparisons.
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
            ignore_eos: true,
            min_tokens: 0,
            logprobs: None,
            echo: false,
            reasoning: Reasoning::InText,
            skip_special_tokens: true,
            tenant: 0,
            prefix_cache: true,
            resume: Vec::new(),
        }
    }
}

/// How a text model generates.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Draft tokens of a step; 0 turns speculation off. Changes speed, not tokens.
    pub draft_tokens: u32,
    /// Which requests share full blocks of the KV cache.
    pub prefix_sharing: PrefixSharing,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { draft_tokens: 0, prefix_sharing: PrefixSharing::Tenant }
    }
}

/// The KV cache of a text model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvCacheSizes {
    /// Tokens of a block.
    pub block_size: u32,
    /// Blocks.
    pub num_blocks: u32,
    /// Bytes of all blocks.
    pub bytes: u64,
}

/// A text model that runs. Dropping it ends its threads and the requests that run.
pub struct TextModel {
    /// None once it is dropped, which ends the thread that prepares.
    tasks: Option<Sender<Task>>,
    commands: Sender<Command>,
    stats: StatsCell,
    kv_cache: KvCacheSizes,
    threads: Vec<thread::JoinHandle<()>>,
}

impl TextModel {
    /// Opens a guest for a loaded text model and starts the thread that runs it.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no text model or its tokenizer is not the manifest's,
    /// [`Error::Open`] if the guest refuses it.
    pub fn start(sandbox: &Sandbox, model: &LoadedGraph, options: TextOptions, limits: Limits) -> Result<Self, Error> {
        Self::start_with(sandbox, &sandbox.text_guest()?, model, options, limits)
    }

    /// As [`TextModel::start`], with another component of the same world; for tests of the sandbox
    /// itself.
    ///
    /// # Errors
    /// As [`TextModel::start`].
    pub fn start_with(
        sandbox: &Sandbox,
        component: &Component,
        model: &LoadedGraph,
        options: TextOptions,
        limits: Limits,
    ) -> Result<Self, Error> {
        let config = GuestConfig { sandbox: sandbox.clone(), graphs: model.graphs(), limits };
        let description = description(model, options)?;
        let kv_cache = kv_cache(model, &description);
        let template = TextTemplate::new(component, config, description, model.tokenizer()?, model.chat_template()?)?;
        let template = Arc::new(template);
        let (commands, received_commands) = channel();
        let (tasks, received_tasks) = channel();
        let stats = StatsCell::default();
        let worker = Worker::new(template.clone(), received_commands, stats.clone())?;
        let preparing = Preparing::new(template, received_tasks, commands.clone(), stats.clone())?;
        let threads = vec![
            start_thread(format!("carafe-{}", model.name()), move || worker.run())?,
            start_thread(format!("prepare-{}", model.name()), move || preparing.run())?,
        ];
        Ok(Self { tasks: Some(tasks), commands, stats, kv_cache, threads })
    }

    /// Hands a request to the guest; resolves when the guest has accepted or refused it.
    ///
    /// # Errors
    /// [`Error::Request`] with the guest's refusal, [`Error::Trap`] if the guest failed over this
    /// request, [`Error::Stopped`].
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

    /// The text that the model's chat template makes of a conversation.
    ///
    /// # Errors
    /// As [`TextModel::submit`].
    pub async fn render(&self, chat: Chat) -> Result<String, Error> {
        self.ask(|answer| Task::Render(chat, answer)).await
    }

    /// The tokens of a prompt, whatever their number.
    ///
    /// # Errors
    /// As [`TextModel::submit`].
    pub async fn tokenize(&self, prompt: Prompt) -> Result<Vec<Token>, Error> {
        self.ask(|answer| Task::Tokenize(prompt, answer)).await
    }

    /// The text of tokens, special ones included; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`TextModel::submit`].
    pub async fn detokenize(&self, tokens: Vec<u32>) -> Result<String, Error> {
        self.ask(|answer| Task::Detokenize(tokens, answer)).await
    }

    /// What has been counted so far.
    #[must_use]
    pub fn stats(&self) -> TextStats {
        self.stats.get()
    }

    /// The sizes of the KV cache.
    #[must_use]
    pub fn kv_cache(&self) -> KvCacheSizes {
        self.kv_cache
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
            sequences.push(NewSequence { seed, events, answer, submitted: Instant::now() });
            generations.push((Generation::new(receiver, self.commands.clone()), answered));
        }
        self.give(Task::Submit(Submission { request, sequences }))?;
        Ok(generations)
    }

    fn give(&self, task: Task) -> Result<(), Error> {
        let tasks = self.tasks.as_ref().ok_or(Error::Stopped)?;
        tasks.send(task).map_err(|_| Error::Stopped)
    }

    /// Gives the preparing thread a task and waits for its answer.
    async fn ask<T>(&self, task: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Task) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.give(task(answer))?;
        answered.await.map_err(|_| Error::Stopped)?
    }
}

impl Drop for TextModel {
    fn drop(&mut self) {
        self.tasks = None;
        // The worker may be gone already; then there is nothing to stop.
        let _ = self.commands.send(Command::Stop);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

fn start_thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new().name(name).spawn(run).map_err(Error::Thread)
}

fn kv_cache(model: &LoadedGraph, description: &Model) -> KvCacheSizes {
    let Model { block_size, num_blocks, .. } = *description;
    let of_a_block = model.graph().cache().map_or(0, |layout| layout.block_bytes);
    KvCacheSizes { block_size, num_blocks, bytes: u64::from(num_blocks) * of_a_block }
}

/// The manifest's facts, the decoder's limits and the options in the guest's words.
///
/// # Errors
/// [`Error::Model`] if it is no text model.
pub fn description(model: &LoadedGraph, options: TextOptions) -> Result<Model, Error> {
    let (text, limits) = (model.text()?, model.limits());
    Ok(Model {
        graph: model.name().to_owned(),
        context_length: model.context_length(),
        vocabulary_size: text.vocabulary_size,
        eos_token_ids: text.eos_token_ids.clone(),
        block_size: model.graph().cache().map_or(0, |layout| layout.block_size),
        num_blocks: model.graph().num_blocks(),
        max_num_seqs: limits.max_num_seqs,
        max_num_batched_tokens: limits.max_num_batched_tokens(text),
        max_num_logits: limits.max_num_logits(text),
        prefill_chunk: limits.prefill_chunk(text),
        draft_tokens: options.draft_tokens,
        prefix_sharing: options.prefix_sharing,
    })
}
