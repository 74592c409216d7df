//! Makes tokens and events of the logits of an inference.

use std::{error::Error, mem, ops::Range};

use super::{
    event::{Event, EventKind, FailureKind, FinishReason},
    model::TextModel,
    model_runner::{Logits, RunError},
    reasoning::Delta,
    sampler::Sampler,
    scheduler::{ScheduledRow, Scheduler, SchedulerOutput},
    sequence::{Accepted, Choice, Sequence},
};
use crate::tokenizer::Tokenizer;

/// The logit of an id without a token. It is far below any model's, and so many of them that a
/// vocabulary is full of them still have a finite sum.
const LOGIT_WITHOUT_TOKEN: f32 = -1e30;

/// Counters of what was computed and chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) prompt_tokens: u64,
    pub(super) generated_tokens: u64,
    pub(super) draft_tokens: u64,
    pub(super) accepted_tokens: u64,
}

/// What makes tokens and events of logits.
#[derive(Debug)]
pub(super) struct OutputProcessor {
    pub(super) tokenizer: Tokenizer,
    /// Ids that the model has logits for and the tokenizer no token.
    without_token: Vec<Range<usize>>,
    sampler: Sampler,
    /// A copy of a row of logits as the model gave it.
    raw: Vec<f32>,
    pub(super) counters: Counters,
}

impl OutputProcessor {
    pub(super) fn new(tokenizer: Tokenizer, model: &TextModel) -> Self {
        Self {
            without_token: without_token(&tokenizer, model),
            tokenizer,
            sampler: Sampler::default(),
            raw: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Processes every row of an inference; sequences that come to their end by it leave the
    /// scheduler.
    pub(super) fn process(
        &mut self,
        output: &SchedulerOutput,
        logits: &mut Logits,
        scheduler: &mut Scheduler,
        model: &TextModel,
        events: &mut Vec<Event>,
    ) {
        let mut rest = logits.values();
        self.mask(rest, model);
        let mut finished = Vec::new();
        for row in &output.rows {
            let (own, others) = mem::take(&mut rest).split_at_mut(row.num_logits * model.vocabulary_size as usize);
            rest = others;
            let sequence = &mut scheduler.running[row.index].sequence;
            if !self.process_row(sequence, row, own, model, events) {
                finished.push(row.index);
            }
            scheduler.cache_blocks(row.index);
        }
        scheduler.finish(&finished);
    }

    /// Makes ids without a token, in all rows, so improbable that they are never chosen and weigh
    /// nothing: many a model's vocabulary is filled up to a round number.
    fn mask(&self, logits: &mut [f32], model: &TextModel) {
        for row in logits.chunks_exact_mut(model.vocabulary_size as usize) {
            self.without_token.iter().for_each(|range| row[range.clone()].fill(LOGIT_WITHOUT_TOKEN));
        }
    }

    /// Notes what was computed of a sequence, and chooses tokens if that is all it has. False if it
    /// ends.
    fn process_row(
        &mut self,
        sequence: &mut Sequence,
        row: &ScheduledRow,
        mut logits: &mut [f32],
        model: &TextModel,
        events: &mut Vec<Event>,
    ) -> bool {
        let request = sequence.id;
        if sequence.scores_prompt() {
            let size = model.vocabulary_size as usize;
            if let Err(error) = sequence.score_prompt(logits, size, &mut self.sampler) {
                events.push(failed(request, FailureKind::Logits, &error));
                return false;
            }
            logits = &mut logits[(row.num_logits - 1) * size..];
        }
        let of_the_prompt = sequence.prompt_tokens.saturating_sub(sequence.num_computed_tokens());
        self.counters.prompt_tokens += of_the_prompt.min(row.num_tokens) as u64;
        sequence.advance(row.num_tokens);
        events.extend(sequence.take_echo().map(|kind| Event { request, kind }));
        if sequence.num_pending_tokens() > 0 {
            return true;
        }
        if !sequence.wants_tokens() {
            events.push(finish(sequence, &self.tokenizer));
            return false;
        }
        self.decode(sequence, &row.draft_tokens, logits, model, events)
    }

    /// Chooses a token by each row of the logits, as long as the draft before it was the very token
    /// chosen. False if the sequence ends.
    fn decode(
        &mut self,
        sequence: &mut Sequence,
        drafts: &[u32],
        logits: &mut [f32],
        model: &TextModel,
        events: &mut Vec<Event>,
    ) -> bool {
        let mut accepted = 0;
        let mut stays = true;
        for logits in logits.chunks_exact_mut(model.vocabulary_size as usize) {
            let Some(token) = self.sample_next(sequence, logits, model, events) else {
                stays = false;
                break;
            };
            if drafts.get(accepted) != Some(&token) {
                break;
            }
            accepted += 1;
            sequence.advance(1);
        }
        if !drafts.is_empty() {
            sequence.learn(drafts.len(), accepted);
            self.counters.draft_tokens += drafts.len() as u64;
            self.counters.accepted_tokens += accepted as u64;
        }
        stays
    }

    /// Chooses a sequence's next token; none if the sequence ends with it, or fails.
    fn sample_next(
        &mut self,
        sequence: &mut Sequence,
        logits: &mut [f32],
        model: &TextModel,
        events: &mut Vec<Event>,
    ) -> Option<u32> {
        let request = sequence.id;
        let Choice { token, logprobs } = match sequence.choose(logits, &mut self.raw, model, &mut self.sampler) {
            Ok(choice) => choice,
            Err(error) => {
                events.push(failed(request, FailureKind::Logits, &error));
                return None;
            }
        };
        self.counters.generated_tokens += 1;
        let Accepted { delta, text_offset, finished: end } = sequence.accept(token, model, &self.tokenizer);
        let (Delta { reasoning, text }, text_offset) = (delta, text_offset as u32);
        events.push(Event { request, kind: EventKind::Token { id: token, text, reasoning, text_offset, logprobs } });
        match end {
            Some((reason, rest)) => {
                events.push(finished(sequence, reason, rest));
                None
            }
            None => Some(token),
        }
    }
}

/// The ids below the model's vocabulary size that have no token.
fn without_token(tokenizer: &Tokenizer, model: &TextModel) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for id in (0..model.vocabulary_size).filter(|&id| !tokenizer.has_token(id)) {
        let id = id as usize;
        match ranges.last_mut().filter(|last| last.end == id) {
            Some(last) => last.end += 1,
            None => ranges.push(id..id + 1),
        }
    }
    ranges
}

/// Ends a request that generates and scores nothing; it needs no model.
pub(super) fn finish_without_model(mut sequence: Sequence, tokenizer: &Tokenizer, events: &mut Vec<Event>) {
    let request = sequence.id;
    sequence.advance(sequence.prompt_tokens);
    events.extend(sequence.take_echo().map(|kind| Event { request, kind }));
    events.push(finish(&mut sequence, tokenizer));
}

/// The event of a request whose inference failed.
pub(super) fn failed_run(request: u64, error: &RunError) -> Event {
    failed(request, FailureKind::ForwardPass, error)
}

/// The event of a request that generates nothing more.
fn finish(sequence: &mut Sequence, tokenizer: &Tokenizer) -> Event {
    let (reason, rest) = sequence.finish(FinishReason::Length, tokenizer);
    finished(sequence, reason, rest)
}

/// The event of a request that has come to its end.
fn finished(sequence: &Sequence, reason: FinishReason, rest: Delta) -> Event {
    let (prompt_tokens, generated_tokens) = (sequence.prompt_tokens as u32, sequence.generated_tokens() as u32);
    let Delta { reasoning, text } = rest;
    Event {
        request: sequence.id,
        kind: EventKind::Finished { reason, text, reasoning, prompt_tokens, generated_tokens },
    }
}

/// The event of a request that cannot go on.
fn failed(request: u64, kind: FailureKind, error: &dyn Error) -> Event {
    Event { request, kind: EventKind::Failed { kind, message: error.to_string() } }
}
