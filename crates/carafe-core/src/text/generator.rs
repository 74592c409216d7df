//! Turns requests into events, one step of the model at a time.
//!
//! Requests run one by one, first come, first served. Each has a context of its own, which goes with it. A call of
//! [`Generator::step`] runs at most one forward: the masked dummy position of a new context, then the prompt piece by piece, then
//! token by token. A forward that fails ends its request alone. Where an echoed prompt is to be scored, its steps give the logits of
//! every position, those of the position before a token being that token's.
//!
//! A generator knows nothing of threads, time or channels: who calls `step` and when is the caller's affair.

use std::{collections::VecDeque, error::Error};

use super::{
    batch::Batch,
    event::{Event, EventKind, FinishReason},
    forward::{Forward, ForwardError},
    model::{ModelError, TextModel},
    request::Request,
    request_error::RequestError,
    sampler::Sampler,
    sequence::{Accepted, Choice, Sequence},
    tokenizer::Tokenizer,
};

/// How many requests may wait.
pub const MAX_WAITING: usize = 1024;

/// What a generator has done and has yet to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that are being worked on.
    pub running: u32,
    /// Requests in the queue.
    pub waiting: u32,
    /// Forwards that succeeded, those over dummy positions included.
    pub forwards: u64,
    /// Prompt tokens that the model has read.
    pub prompt_tokens: u64,
    /// Tokens that were chosen.
    pub generated_tokens: u64,
}

/// Generates text with one model.
#[derive(Debug)]
pub struct Generator<F: Forward> {
    forward: F,
    tokenizer: Tokenizer,
    model: TextModel,
    sampler: Sampler,
    /// The logits of the latest step.
    logits: Vec<f32>,
    /// A copy of them as the model gave them.
    raw: Vec<f32>,
    waiting: VecDeque<Sequence>,
    running: Option<Running<F::Context>>,
    next_id: u64,
    stats: Stats,
}

/// A sequence with its context.
#[derive(Debug)]
struct Running<C> {
    sequence: Sequence,
    context: C,
    batch: Batch,
}

impl<F: Forward> Generator<F> {
    /// A generator for a model whose tokenizer this is.
    pub fn new(forward: F, tokenizer: Tokenizer, model: TextModel) -> Result<Self, ModelError> {
        model.check(&tokenizer)?;
        Ok(Self {
            forward,
            tokenizer,
            model,
            sampler: Sampler::default(),
            logits: Vec::new(),
            raw: Vec::new(),
            waiting: VecDeque::new(),
            running: None,
            next_id: 1,
            stats: Stats::default(),
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's sizes.
    pub fn model(&self) -> &TextModel {
        &self.model
    }

    /// Checks a request and puts it in the queue; its events carry the returned id. Ids count from 1 and are never used again.
    pub fn submit(&mut self, request: Request) -> Result<u64, RequestError> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(RequestError::QueueFull { limit: MAX_WAITING });
        }
        let request = request.validate(&self.model, &self.tokenizer)?;
        let id = self.next_id;
        self.waiting.push_back(Sequence::new(id, request, &self.model, &self.tokenizer)?);
        self.next_id += 1;
        Ok(id)
    }

    /// Takes a request out, wherever it stands; it has no further event. False if it is not there (any more).
    pub fn cancel(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|sequence| sequence.id != id);
        let running = self.running.take_if(|running| running.sequence.id == id);
        running.is_some() || self.waiting.len() < before
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// What has been done and is yet to do.
    pub fn stats(&self) -> Stats {
        Stats { running: u32::from(self.running.is_some()), waiting: self.waiting.len() as u32, ..self.stats }
    }

    /// Runs at most one forward and tells what came of it; nothing when idle.
    pub fn step(&mut self) -> Vec<Event> {
        if let Some(running) = self.running.take() {
            return self.go_on(running);
        }
        self.waiting.pop_front().map_or_else(Vec::new, |sequence| self.start(sequence))
    }

    /// Opens a context for a sequence and gives it its masked dummy position; a sequence that needs no model ends at once.
    fn start(&mut self, mut sequence: Sequence) -> Vec<Event> {
        let request = sequence.id;
        let started = EventKind::Started { prompt_tokens: sequence.prompt_tokens as u32 };
        let mut events = vec![Event { request, kind: started }];
        if !sequence.needs_model() {
            sequence.advance(sequence.prompt_tokens);
            events.extend(sequence.take_echo(&self.tokenizer).map(|kind| Event { request, kind }));
            events.push(finished(&sequence, FinishReason::Length, String::new()));
            return events;
        }
        let batch = Batch::with_dummy();
        match self.forward.open_context() {
            Ok(mut context) => match self.compute(&mut context, &batch) {
                Ok(()) => self.running = Some(Running { sequence, context, batch }),
                Err(error) => events.push(failed(request, &error)),
            },
            Err(error) => events.push(failed(request, &error)),
        }
        events
    }

    /// Lets the model read the next tokens of the running sequence, and chooses one when it has read them all.
    fn go_on(&mut self, mut running: Running<F::Context>) -> Vec<Event> {
        let request = running.sequence.id;
        if let Err(error) = self.read(&mut running) {
            return vec![failed(request, error.as_ref())];
        }
        let echo = running.sequence.take_echo(&self.tokenizer).map(|kind| Event { request, kind });
        let mut events = Vec::from_iter(echo);
        if !running.sequence.is_read() {
            self.running = Some(running);
        } else if running.sequence.wants_tokens() {
            events.extend(self.choose(running));
        } else {
            events.push(finished(&running.sequence, FinishReason::Length, String::new()));
        }
        events
    }

    /// Runs a step over the next tokens of a sequence. Afterwards the logits are those after the last of them.
    fn read(&mut self, running: &mut Running<F::Context>) -> Result<(), Box<dyn Error>> {
        let sequence = &mut running.sequence;
        let wants_all = sequence.scores_prompt();
        let limit = if wants_all { self.model.max_step.min(self.model.max_logits) } else { self.model.max_step };
        let tokens = sequence.unread(limit as usize);
        let count = tokens.len();
        running.batch.append(tokens, sequence.position(), wants_all);
        let of_prompt = sequence.prompt_tokens.saturating_sub(sequence.position()).min(count);
        self.compute(&mut running.context, &running.batch)?;
        if wants_all {
            let vocabulary_size = self.model.vocabulary_size as usize;
            sequence.score_prompt(&self.logits, vocabulary_size, &mut self.sampler)?;
            self.logits.drain(..self.logits.len() - vocabulary_size);
        }
        self.stats.prompt_tokens += of_prompt as u64;
        sequence.advance(count);
        Ok(())
    }

    /// Chooses the next token of a sequence that the model has read, and keeps the sequence unless that was the last.
    fn choose(&mut self, mut running: Running<F::Context>) -> Vec<Event> {
        let sequence = &mut running.sequence;
        let request = sequence.id;
        let choice = sequence.choose(&mut self.logits, &mut self.raw, &self.model, &mut self.sampler);
        let Choice { token, logprobs } = match choice {
            Ok(choice) => choice,
            Err(error) => return vec![failed(request, &error)],
        };
        self.stats.generated_tokens += 1;
        let Accepted { text, finished: end } = sequence.accept(token, &self.model, &self.tokenizer);
        let mut events = vec![Event { request, kind: EventKind::Token { id: token, text, logprobs } }];
        match end {
            Some((reason, text)) => events.push(finished(sequence, reason, text)),
            None => self.running = Some(running),
        }
        events
    }

    /// Runs the batch's step and checks that the logits are as many as they must be.
    fn compute(&mut self, context: &mut F::Context, batch: &Batch) -> Result<(), ForwardError> {
        let step = batch.step();
        self.forward.forward(context, &step, &mut self.logits)?;
        let (rows, size) = (step.logit_idx.len(), self.model.vocabulary_size as usize);
        if self.logits.len() != rows * size {
            let got = self.logits.len();
            return Err(ForwardError::new(format!("the model returned {got} logits instead of {rows} x {size}")));
        }
        self.stats.forwards += 1;
        Ok(())
    }
}

/// The event of a request that has come to its end.
fn finished(sequence: &Sequence, reason: FinishReason, text: String) -> Event {
    let (prompt_tokens, generated_tokens) = (sequence.prompt_tokens as u32, sequence.generated_tokens() as u32);
    Event { request: sequence.id, kind: EventKind::Finished { reason, text, prompt_tokens, generated_tokens } }
}

/// The event of a request that cannot go on.
fn failed(request: u64, error: &dyn Error) -> Event {
    Event { request, kind: EventKind::Failed { message: error.to_string() } }
}
