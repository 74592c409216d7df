//! Turns requests into events, one step of the model at a time: continuous batching.
//!
//! All running requests share a few execution contexts (`batch`). A call of [`Generator::step`] lets waiting requests in as far
//! as there is room (`admission`), takes the batch whose turn it is, and runs one forward over it: the masked dummy position of a new
//! context, or a step in which each row reads what `plan` gives it. Where that completes what a sequence has, its next token is chosen; and
//! where the sequence had guesses (`draft`), those of them that are right, and one more.
//!
//! A forward that fails takes its context with it. Whoever was alone in that context fails; the others start again, each alone, so that what
//! is one request's fault ends that request only. Where an echoed prompt is to be scored, its steps give the logits of every
//! position, those of the position before a token being that token's.
//!
//! A generator knows nothing of threads, time or channels: who calls `step` and when is the caller's affair.

use std::{collections::VecDeque, error::Error, mem};

use super::{
    admission::{self, Place},
    batch::{Batch, Row, Share},
    event::{Event, EventKind, FinishReason},
    forward::{Forward, ForwardError, Logits, Step},
    model::{ModelError, TextModel},
    plan::{self, Bounds},
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
    /// Prompt tokens that it had read already, for another request.
    pub shared_tokens: u64,
    /// Tokens that were chosen.
    pub generated_tokens: u64,
    /// Tokens that were guessed ahead.
    pub draft_tokens: u64,
    /// Those of them that were right.
    pub accepted_tokens: u64,
}

/// Generates text with one model.
#[derive(Debug)]
pub struct Generator<F: Forward> {
    forward: F,
    waiting: VecDeque<Sequence>,
    /// In the order of their age.
    batches: Vec<Batch<F::Context>>,
    /// Calls of `step` so far.
    turn: u64,
    next_id: u64,
    chooser: Chooser,
}

/// What makes tokens and events of logits.
#[derive(Debug)]
struct Chooser {
    tokenizer: Tokenizer,
    model: TextModel,
    sampler: Sampler,
    /// The logits of the latest step.
    logits: Logits,
    /// A copy of a row of them as the model gave it.
    raw: Vec<f32>,
    stats: Stats,
}

impl<F: Forward> Generator<F> {
    /// A generator for a model whose tokenizer this is.
    pub fn new(forward: F, tokenizer: Tokenizer, model: TextModel) -> Result<Self, ModelError> {
        model.check(&tokenizer)?;
        let (sampler, stats) = (Sampler::default(), Stats::default());
        let chooser = Chooser { tokenizer, model, sampler, logits: Logits::default(), raw: Vec::new(), stats };
        Ok(Self { forward, waiting: VecDeque::new(), batches: Vec::new(), turn: 0, next_id: 1, chooser })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.chooser.tokenizer
    }

    /// The model's sizes.
    pub fn model(&self) -> &TextModel {
        &self.chooser.model
    }

    /// Checks a request and puts it in the queue; its events carry the returned id. Ids count from 1 and are never used again.
    pub fn submit(&mut self, request: Request) -> Result<u64, RequestError> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(RequestError::QueueFull { limit: MAX_WAITING });
        }
        let Chooser { model, tokenizer, .. } = &self.chooser;
        let request = request.validate(model, tokenizer)?;
        let id = self.next_id;
        self.waiting.push_back(Sequence::new(id, request, model, tokenizer)?);
        self.next_id += 1;
        Ok(id)
    }

    /// Takes a request out, wherever it stands; it has no further event. False if it is not there (any more).
    pub fn cancel(&mut self, id: u64) -> bool {
        let before = self.sequences();
        self.waiting.retain(|sequence| sequence.id != id);
        for batch in &mut self.batches {
            batch.rows.retain(|row| row.sequence.id != id);
        }
        self.batches.retain(|batch| !batch.rows.is_empty());
        self.sequences() < before
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.sequences() == 0
    }

    /// What has been done and is yet to do.
    pub fn stats(&self) -> Stats {
        Stats { running: self.running() as u32, waiting: self.waiting.len() as u32, ..self.chooser.stats }
    }

    /// Lets waiting requests in, runs at most one forward, and tells what came of it; nothing when idle.
    pub fn step(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.turn += 1;
        self.admit(&mut events);
        // The one that has waited longest.
        if let Some(index) = (0..self.batches.len()).min_by_key(|&index| self.batches[index].turn) {
            self.batches[index].turn = self.turn;
            self.run(index, &mut events);
            self.batches.retain(|batch| !batch.rows.is_empty());
        }
        events
    }

    fn running(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows.len()).sum()
    }

    fn sequences(&self) -> usize {
        self.running() + self.waiting.len()
    }

    /// Gives places to those who wait, in their order. Who waits for its turn is passed by, who waits for room is not.
    fn admit(&mut self, events: &mut Vec<Event>) {
        let mut passed = VecDeque::new();
        while let Some(sequence) = self.waiting.pop_front() {
            match self.place(&sequence) {
                Some(Place::WaitForTurn) => passed.push_back(sequence),
                Some(Place::WaitForRoom) => {
                    passed.push_back(sequence);
                    break;
                }
                place => self.start(sequence, place, events),
            }
        }
        passed.append(&mut self.waiting);
        self.waiting = passed;
    }

    /// Where a sequence goes; nowhere if the model has nothing to do for it.
    fn place(&self, sequence: &Sequence) -> Option<Place> {
        let needs_model = sequence.needs_model();
        needs_model.then(|| admission::place(sequence, &self.batches, &self.chooser.model))
    }

    /// Begins to work on a sequence in its place.
    fn start(&mut self, mut sequence: Sequence, place: Option<Place>, events: &mut Vec<Event>) {
        let request = sequence.id;
        events.extend(sequence.take_start().map(|kind| Event { request, kind }));
        match place {
            Some(Place::Join { batch }) => self.batches[batch].join(sequence),
            Some(Place::Fork { batch, row, shared }) => {
                self.chooser.stats.shared_tokens += shared as u64;
                self.batches[batch].fork(sequence, row, shared);
            }
            Some(_) => match self.forward.open_context() {
                Ok(context) => {
                    let mut batch = Batch::new(context, self.turn);
                    batch.join(sequence);
                    self.batches.push(batch);
                }
                Err(error) => events.push(failed(request, &error)),
            },
            None => Chooser::finish_without_model(sequence, events),
        }
    }

    /// Runs the next step of a batch, and removes the sequences that come to their end by it.
    fn run(&mut self, index: usize, events: &mut Vec<Event>) {
        let result = if self.batches[index].is_begun() {
            self.advance(index, events)
        } else {
            let (context, step) = self.batches[index].dummy_step();
            let result = self.chooser.compute(&mut self.forward, context, &step);
            result.map(|()| self.batches[index].begin())
        };
        if let Err(error) = result {
            self.give_up(index, &error, events);
        }
    }

    /// Lets the rows of a batch read their shares, and chooses tokens for those that have read everything.
    fn advance(&mut self, index: usize, events: &mut Vec<Event>) -> Result<(), ForwardError> {
        let model = &self.chooser.model;
        let room = admission::room(&self.batches, index, model);
        let mut rows = self.batches.iter().flat_map(|batch| &batch.rows);
        let somebody_writes = rows.any(|row| !row.sequence.is_reading());
        let until_next = admission::until_next(&self.batches[index], self.waiting.iter());
        let bounds = Bounds::new(model, room, somebody_writes, until_next);
        let batch = &mut self.batches[index];
        let (width, shares) = plan::plan(batch, &bounds);
        let (context, step) = batch.step(width, &shares);
        self.chooser.compute(&mut self.forward, context, &step)?;
        batch.advance(width);
        self.chooser.count_prompt_tokens(batch, &shares);
        self.chooser.choose(batch, shares, events);
        Ok(())
    }

    /// Drops a batch whose forward failed. Alone in it, a sequence fails; else each of them starts again, alone.
    fn give_up(&mut self, index: usize, error: &ForwardError, events: &mut Vec<Event>) {
        let rows = self.batches.remove(index).rows;
        if let [Row { sequence, .. }] = &rows[..] {
            events.push(failed(sequence.id, error));
            return;
        }
        for Row { mut sequence, .. } in rows.into_iter().rev() {
            sequence.retry_alone();
            self.waiting.push_front(sequence);
        }
    }
}

impl Chooser {
    /// Runs a step and checks that the logits are as many as they must be.
    fn compute<F: Forward>(
        &mut self,
        forward: &mut F,
        context: &mut F::Context,
        step: &Step<'_>,
    ) -> Result<(), ForwardError> {
        forward.forward(context, step, &mut self.logits)?;
        let (rows, size) = (step.logit_idx.len(), self.vocabulary_size());
        let got = self.logits.values().len();
        if got != rows * size {
            return Err(ForwardError::new(format!("the model returned {got} logits instead of {rows} x {size}")));
        }
        self.stats.forwards += 1;
        Ok(())
    }

    /// Ends a request that generates and scores nothing; it needs no model.
    fn finish_without_model(mut sequence: Sequence, events: &mut Vec<Event>) {
        let request = sequence.id;
        sequence.advance(sequence.prompt_tokens);
        events.extend(sequence.take_echo().map(|kind| Event { request, kind }));
        events.push(finish(&mut sequence));
    }

    fn count_prompt_tokens<C>(&mut self, batch: &Batch<C>, shares: &[Share]) {
        for (row, share) in batch.rows.iter().zip(shares) {
            let left = row.sequence.prompt_tokens.saturating_sub(row.sequence.position());
            self.stats.prompt_tokens += left.min(share.tokens) as u64;
        }
    }

    /// Makes events of the logits of a step, row by row. Rows whose sequence has come to its end are removed.
    fn choose<C>(&mut self, batch: &mut Batch<C>, shares: Vec<Share>, events: &mut Vec<Event>) {
        let mut logits = mem::take(&mut self.logits);
        let mut rest = logits.values();
        let mut shares = shares.into_iter();
        batch.rows.retain_mut(|row| {
            let share = shares.next().unwrap_or_default();
            let (own, others) = mem::take(&mut rest).split_at_mut(share.logits * self.vocabulary_size());
            rest = others;
            self.go_on(row, &share, own, events)
        });
        self.logits = logits;
    }

    /// Takes note of what a row has read, and chooses tokens if that is all it has. False if its sequence ends.
    fn go_on(&mut self, row: &mut Row, share: &Share, mut logits: &mut [f32], events: &mut Vec<Event>) -> bool {
        let sequence = &mut row.sequence;
        let request = sequence.id;
        if sequence.scores_prompt() {
            if let Err(error) = sequence.score_prompt(logits, self.vocabulary_size(), &mut self.sampler) {
                events.push(failed(request, &error));
                return false;
            }
            logits = &mut logits[(share.logits - 1) * self.vocabulary_size()..];
        }
        sequence.advance(share.tokens);
        events.extend(sequence.take_echo().map(|kind| Event { request, kind }));
        if sequence.unread_count() > 0 {
            return true;
        }
        if !sequence.wants_tokens() {
            events.push(finish(sequence));
            return false;
        }
        self.write(row, &share.drafts, logits, events)
    }

    /// Chooses a token by each row of the logits, as long as the one before was guessed rightly. False if the sequence ends.
    fn write(&mut self, row: &mut Row, drafts: &[u32], logits: &mut [f32], events: &mut Vec<Event>) -> bool {
        let mut right = 0;
        let mut stays = true;
        for logits in logits.chunks_exact_mut(self.vocabulary_size()) {
            let Some(token) = self.write_one(&mut row.sequence, logits, events) else {
                stays = false;
                break;
            };
            if drafts.get(right) != Some(&token) {
                break;
            }
            right += 1;
            row.sequence.advance(1);
        }
        if !drafts.is_empty() {
            row.reject(drafts.len() - right);
            row.sequence.learn(drafts.len(), right);
            self.stats.draft_tokens += drafts.len() as u64;
            self.stats.accepted_tokens += right as u64;
        }
        stays
    }

    /// Chooses a sequence's next token; none if the sequence ends with it, or fails.
    fn write_one(&mut self, sequence: &mut Sequence, logits: &mut [f32], events: &mut Vec<Event>) -> Option<u32> {
        let request = sequence.id;
        let Choice { token, logprobs } = match sequence.choose(logits, &mut self.raw, &self.model, &mut self.sampler) {
            Ok(choice) => choice,
            Err(error) => {
                events.push(failed(request, &error));
                return None;
            }
        };
        self.stats.generated_tokens += 1;
        let Accepted { text, text_offset, finished: end } = sequence.accept(token, &self.model, &self.tokenizer);
        let text_offset = text_offset as u32;
        events.push(Event { request, kind: EventKind::Token { id: token, text, text_offset, logprobs } });
        match end {
            Some((reason, text)) => {
                events.push(finished(sequence, reason, text));
                None
            }
            None => Some(token),
        }
    }

    fn vocabulary_size(&self) -> usize {
        self.model.vocabulary_size as usize
    }
}

/// The event of a request that generates nothing more.
fn finish(sequence: &mut Sequence) -> Event {
    let (reason, text) = sequence.finish(FinishReason::Length);
    finished(sequence, reason, text)
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
