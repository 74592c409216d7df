//! Turns requests into events, one iteration at a time.
//!
//! A call of [`Generator::step`] lets waiting requests in (`scheduler`), runs one inference over
//! the tokens that are scheduled (`model_inputs`, [`ModelRunner`]), and makes tokens and events of
//! its logits (`output_processor`). An inference that fails takes the KV cache with it; the
//! sequences are computed anew, and the one at fault fails alone.
//!
//! A generator knows nothing of threads, time or channels: who calls `step` and when is the
//! caller's affair.

use super::{
    event::Event,
    model::{ModelError, TextModel},
    model_inputs,
    model_runner::{Logits, ModelInput, ModelRunner, RunError},
    output_processor::{self, OutputProcessor},
    request::Request,
    request_error::RequestError,
    scheduler::{Scheduler, SchedulerOutput},
    sequence::Sequence,
};
use crate::tokenizer::Tokenizer;

/// How many requests may wait.
pub const MAX_WAITING: usize = 1024;

/// What a generator has done and has yet to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that are being worked on.
    pub running: u32,
    /// Requests in the queue.
    pub waiting: u32,
    /// Blocks of the KV cache that hold tokens of running requests.
    pub used_blocks: u32,
    /// Blocks that hold tokens of requests that have ended, for requests to come.
    pub cached_blocks: u32,
    /// Inferences that succeeded.
    pub num_forward_passes: u64,
    /// Requests that took part in those, added up.
    pub scheduled_requests: u64,
    /// Prompt tokens that were computed.
    pub prompt_tokens: u64,
    /// Prompt tokens that were looked up in the prefix cache.
    pub prefix_cache_queries: u64,
    /// Those of them that it held.
    pub prefix_cache_hits: u64,
    /// Requests that gave their blocks back to others and waited again.
    pub preemptions: u64,
    /// Tokens that were chosen.
    pub generated_tokens: u64,
    /// Draft tokens that were computed.
    pub draft_tokens: u64,
    /// Those of them that were accepted.
    pub accepted_tokens: u64,
}

/// Generates text with one model.
#[derive(Debug)]
pub struct Generator<R: ModelRunner> {
    runner: R,
    /// Whether the runner's cache is not one that the scheduler's blocks describe.
    needs_reset: bool,
    model: TextModel,
    scheduler: Scheduler,
    /// Requests for which the model has nothing to do.
    without_model: Vec<Sequence>,
    processor: OutputProcessor,
    /// The logits of the latest inference.
    logits: Logits,
    next_id: u64,
    num_forward_passes: u64,
    scheduled_requests: u64,
}

impl<R: ModelRunner> Generator<R> {
    /// A generator for a model whose tokenizer this is.
    pub fn new(runner: R, tokenizer: Tokenizer, model: TextModel) -> Result<Self, ModelError> {
        model.check(&tokenizer)?;
        Ok(Self {
            runner,
            needs_reset: true,
            scheduler: Scheduler::new(&model),
            without_model: Vec::new(),
            processor: OutputProcessor::new(tokenizer, &model),
            logits: Logits::default(),
            next_id: 1,
            num_forward_passes: 0,
            scheduled_requests: 0,
            model,
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.processor.tokenizer
    }

    /// The model's sizes.
    pub fn model(&self) -> &TextModel {
        &self.model
    }

    /// Checks a request and puts it in the queue; its events carry the returned id. Ids count from
    /// 1 and are never used again.
    pub fn submit(&mut self, request: Request) -> Result<u64, RequestError> {
        if self.num_waiting() >= MAX_WAITING {
            return Err(RequestError::QueueFull { limit: MAX_WAITING });
        }
        let tokenizer = &self.processor.tokenizer;
        let request = request.validate(&self.model, tokenizer)?;
        let id = self.next_id;
        let sequence = Sequence::new(id, request, &self.model, tokenizer)?;
        if sequence.needs_model() {
            self.scheduler.enqueue(sequence);
        } else {
            self.without_model.push(sequence);
        }
        self.next_id += 1;
        Ok(id)
    }

    /// Takes a request out, wherever it stands; it has no further event. False if it is not there
    /// (any more).
    pub fn cancel(&mut self, id: u64) -> bool {
        let before = self.without_model.len();
        self.without_model.retain(|sequence| sequence.id != id);
        self.without_model.len() < before || self.scheduler.cancel(id)
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.scheduler.running.is_empty() && self.num_waiting() == 0
    }

    fn num_waiting(&self) -> usize {
        self.scheduler.num_waiting() + self.without_model.len()
    }

    /// What has been done and is yet to do.
    pub fn stats(&self) -> Stats {
        let (processed, scheduled) = (self.processor.counters, self.scheduler.counters());
        Stats {
            running: self.scheduler.running.len() as u32,
            waiting: self.num_waiting() as u32,
            used_blocks: self.scheduler.num_used_blocks() as u32,
            cached_blocks: self.scheduler.num_cached_blocks() as u32,
            num_forward_passes: self.num_forward_passes,
            scheduled_requests: self.scheduled_requests,
            prompt_tokens: processed.prompt_tokens,
            prefix_cache_queries: scheduled.prefix_cache_queries,
            prefix_cache_hits: scheduled.prefix_cache_hits,
            preemptions: scheduled.preemptions,
            generated_tokens: processed.generated_tokens,
            draft_tokens: processed.draft_tokens,
            accepted_tokens: processed.accepted_tokens,
        }
    }

    /// Lets waiting requests in, runs at most one inference, and tells what came of it; nothing
    /// when idle.
    pub fn step(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.admit(&mut events);
        if let Some(output) = self.scheduler.schedule(&self.model) {
            self.run(&output, &mut events);
        }
        events
    }

    /// Starts the requests that may run now. Those for which the model has nothing to do are done
    /// at once.
    fn admit(&mut self, events: &mut Vec<Event>) {
        for mut sequence in self.without_model.drain(..) {
            let request = sequence.id;
            events.extend(sequence.take_start().map(|kind| Event { request, kind }));
            output_processor::finish_without_model(sequence, &self.processor.tokenizer, events);
        }
        while let Some(sequence) = self.scheduler.admit(&self.model) {
            let request = sequence.id;
            events.extend(sequence.take_start().map(|kind| Event { request, kind }));
        }
    }

    fn run(&mut self, output: &SchedulerOutput, events: &mut Vec<Event>) {
        if self.needs_reset {
            if let Err(error) = self.runner.reset() {
                let abandoned = self.scheduler.abandon(&self.model);
                events.extend(abandoned.iter().map(|sequence| output_processor::failed_run(sequence.id, &error)));
                return;
            }
            self.needs_reset = false;
        }
        let inputs = model_inputs::assemble(output, &self.scheduler.running, self.model.block_size as usize);
        match self.infer(output, &inputs) {
            Ok(()) => {
                let Self { processor, logits, scheduler, model, .. } = self;
                processor.process(output, logits, scheduler, model, events);
            }
            Err(error) => {
                self.needs_reset = true;
                let failed = self.scheduler.recover(&output.rows, &self.model);
                events.extend(failed.map(|sequence| output_processor::failed_run(sequence.id, &error)));
            }
        }
    }

    /// Runs an inference and checks that the logits are as many as they must be.
    fn infer(&mut self, output: &SchedulerOutput, inputs: &[ModelInput]) -> Result<(), RunError> {
        self.runner.run(inputs, &mut self.logits)?;
        let wanted: usize = output.rows.iter().map(|row| row.num_logits).sum();
        let (rows, size) = (wanted.max(1), self.model.vocabulary_size as usize);
        let got = self.logits.values().len();
        if got != rows * size {
            return Err(RunError::new(format!("the model returned {got} logits instead of {rows} x {size}")));
        }
        self.num_forward_passes += 1;
        self.scheduled_requests += output.rows.len() as u64;
        Ok(())
    }
}
