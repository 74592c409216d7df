//! The sequences of one request at work: submits them, merges their events, keeps time, charges
//! their tenant, and tells the metrics and the record.
//!
//! Dropping it ends what still runs, at the end of the model's current step, and frees the
//! request's permits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carafe_host::text::{EventKind, FinishReason, Finished, Generation, RequestTimes, TextModel};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::{self, BoxStream, SelectAll};

use super::caller::Caller;
use super::pieces::finish_name;
use super::plan::Plan;
use super::report::{RunReport, Usage};
use crate::admission::Permit;
use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::metrics::TextMeter;
use crate::models::Served;
use crate::record::{Record, milliseconds};
use crate::tenant::Tenant;

/// The sequences of one request.
pub(super) struct Sequences {
    events: SelectAll<BoxStream<'static, (usize, EventKind, RequestTimes)>>,
    sequences: Vec<Sequence>,
    served: Arc<Served<TextModel>>,
    /// Sequences of one prompt.
    best_of: usize,
    /// One for each sequence.
    seeds: Vec<u64>,
    first_token: Option<Duration>,
    /// Whether the request's time was up before they had finished, and they end where they are.
    out_of_time: bool,
    meter: TextMeter,
    record: Record,
    deadline: Deadline,
    tenant: Tenant,
    _permit: Permit,
}

impl Sequences {
    /// Takes the request's permits and hands its sequences to the model; all of them are accepted,
    /// or none runs.
    pub(super) async fn start(caller: &Caller, served: &Arc<Served<TextModel>>, plan: &Plan) -> Result<Self, ApiError> {
        let Caller { server, record, deadline, tenant } = caller.clone();
        tenant.check_tokens(Instant::now())?;
        let count = u32::try_from(plan.seeds.len()).unwrap_or(u32::MAX);
        let permit = served.permits.take(&tenant, count)?;
        let of_prompts = plan.requests.iter().zip(plan.seeds.chunks(plan.best_of));
        let submissions = of_prompts.map(|(request, seeds)| served.model.submit_seeds(request.clone(), seeds));
        let generations: Vec<Generation> = try_join_all(submissions).await?.into_iter().flatten().collect();
        let meter = server.metrics().of_text_model(&served.card.id);
        let sequences = generations.iter().map(|_| Sequence::new(meter.clone())).collect();
        let events = stream::select_all(generations.into_iter().enumerate().map(events_of));
        let (served, best_of, seeds) = (served.clone(), plan.best_of, plan.seeds.clone());
        Ok(Self {
            events,
            sequences,
            served,
            best_of,
            seeds,
            first_token: None,
            out_of_time: false,
            meter,
            record,
            deadline,
            tenant,
            _permit: permit,
        })
    }

    /// The next event and the number of its sequence; none when all have finished.
    ///
    /// Where time is up and each that still runs has a token, they end there, since a client would
    /// rather have what there is than an error.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, EventKind)>, ApiError> {
        if self.out_of_time {
            return Ok(self.end_one());
        }
        match self.deadline.bound(self.events.next()).await {
            Ok(Some((_, EventKind::Failed(failure), _))) => Err(failure.into()),
            Ok(Some((index, event, times))) => {
                self.note(index, &event, times);
                Ok(Some((index, event)))
            }
            Ok(None) if self.have_finished() => Ok(None),
            Ok(None) => Err(ApiError::Internal { detail: "the model's thread has ended".to_owned() }),
            Err(ApiError::Timeout { .. }) if self.sequences.iter().all(Sequence::has_output) => {
                self.out_of_time = true;
                self.events.clear();
                Ok(self.end_one())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the first that still runs, with what it has; none if all have ended.
    fn end_one(&mut self) -> Option<(usize, EventKind)> {
        let (index, sequence) = self.sequences.iter().enumerate().find(|(_, sequence)| !sequence.has_finished())?;
        let (event, times) = (sequence.ended_by_time(), sequence.times);
        self.note(index, &event, times);
        Some((index, event))
    }

    /// Whether the last event of each of them has come.
    pub(super) fn have_finished(&self) -> bool {
        self.sequences.iter().all(Sequence::has_finished)
    }

    /// Numbers of tokens so far.
    pub(super) fn usage(&self) -> Usage {
        // The sequences of a prompt all read it; it counts once.
        let prompt_tokens = self.sequences.iter().step_by(self.best_of).map(|sequence| sequence.prompt_tokens).sum();
        let completion_tokens = self.sequences.iter().map(|sequence| sequence.tokens).sum();
        // What none of a prompt's sequences had to compute was there before them.
        let of_prompts = self.sequences.chunks(self.best_of);
        let least = of_prompts.filter_map(|sequences| sequences.iter().map(|sequence| sequence.cached_tokens).min());
        Usage { prompt_tokens, cached_tokens: least.sum(), completion_tokens }
    }

    /// How the request went so far.
    pub(super) fn report(&self) -> RunReport {
        let times = || self.sequences.iter().map(|sequence| sequence.times);
        let (steps, model): (Duration, Duration) =
            (times().map(|times| times.step_time).sum(), times().map(|times| times.model_time).sum());
        RunReport {
            seeds: self.seeds.clone(),
            profile: self.served.card.profile.clone(),
            context_length: self.served.card.context_length,
            queue_ms: milliseconds(self.queue()),
            first_token_ms: self.first_token.map(milliseconds),
            total_ms: milliseconds(self.record.elapsed()),
            out_of_time: self.out_of_time,
            steps: times().map(|times| times.steps).sum(),
            sandbox_ms: milliseconds(steps.saturating_sub(model)),
            model_ms: milliseconds(model),
            guest_memory_bytes: self.served.model.stats().guest_memory(),
        }
    }

    /// Counts a stream that was given up since its client did not read it.
    pub(super) fn count_unread(&self) {
        self.meter.unread_streams.inc();
    }

    /// The wait of the first sequence that started.
    fn queue(&self) -> Duration {
        self.sequences.iter().map(|sequence| sequence.times.queue).min().unwrap_or_default()
    }

    fn note(&mut self, index: usize, event: &EventKind, times: RequestTimes) {
        if matches!(event, EventKind::Token(_)) && self.first_token.is_none() {
            let time = self.record.elapsed();
            self.first_token = Some(time);
            self.meter.first_token.observe(time.as_secs_f64());
        }
        let is_first_of_prompt = index.is_multiple_of(self.best_of);
        if let Some(sequence) = self.sequences.get_mut(index) {
            sequence.times = times;
            sequence.note(event, is_first_of_prompt);
            self.tenant.charge(tokens_of(event, is_first_of_prompt), Instant::now());
        }
    }
}

impl Drop for Sequences {
    fn drop(&mut self) {
        self.meter.duration.observe(self.record.elapsed().as_secs_f64());
        let (usage, queue, first_token) = (self.usage(), self.queue(), self.first_token);
        let finish_reason = match self.sequences.first() {
            _ if self.out_of_time => Some("timeout"),
            _ if !self.have_finished() => Some("unfinished"),
            first => first.and_then(|sequence| sequence.finish_reason),
        };
        self.record.note(|facts| {
            facts.prompt_tokens = Some(usage.prompt_tokens);
            facts.cached_tokens = Some(usage.cached_tokens);
            facts.completion_tokens = Some(usage.completion_tokens);
            facts.finish_reason = finish_reason;
            facts.queue = Some(queue);
            facts.first_token = first_token;
        });
    }
}

/// The tokens that an event charges: those of a prompt once, as they begin to be computed, and each
/// generated one.
fn tokens_of(event: &EventKind, is_first_of_prompt: bool) -> u32 {
    match event {
        EventKind::Started(started) if is_first_of_prompt => started.prompt_tokens,
        EventKind::Token(_) => 1,
        _ => 0,
    }
}

/// The events of one generation as a stream, with the sequence's number and its times.
fn events_of((index, generation): (usize, Generation)) -> BoxStream<'static, (usize, EventKind, RequestTimes)> {
    let next = move |mut generation: Generation| async move {
        let event = generation.next().await?;
        let times = generation.times();
        Some(((index, event, times), generation))
    };
    stream::unfold(generation, next).boxed()
}

/// What is known of one sequence, and its share of the gauges.
struct Sequence {
    meter: TextMeter,
    stage: Stage,
    times: RequestTimes,
    prompt_tokens: u64,
    cached_tokens: u64,
    tokens: u64,
    first_token: Option<Instant>,
    latest_token: Option<Instant>,
    finish_reason: Option<&'static str>,
}

/// Which gauge a sequence is counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Ended,
}

impl Sequence {
    fn new(meter: TextMeter) -> Self {
        meter.waiting.inc();
        Self {
            meter,
            stage: Stage::Waiting,
            times: RequestTimes::default(),
            prompt_tokens: 0,
            cached_tokens: 0,
            tokens: 0,
            first_token: None,
            latest_token: None,
            finish_reason: None,
        }
    }

    fn note(&mut self, event: &EventKind, is_first_of_prompt: bool) {
        match event {
            EventKind::Started(started) => {
                self.prompt_tokens = started.prompt_tokens.into();
                self.cached_tokens = started.cached_tokens.into();
                self.meter.queue.observe(self.times.queue.as_secs_f64());
                self.enter(Stage::Running);
                if is_first_of_prompt {
                    self.meter.prompt_tokens.inc_by(self.prompt_tokens);
                }
            }
            EventKind::Token(_) => {
                let now = Instant::now();
                self.tokens += 1;
                self.first_token.get_or_insert(now);
                if let Some(before) = self.latest_token.replace(now) {
                    self.meter.inter_token.observe((now - before).as_secs_f64());
                }
                self.meter.generation_tokens.inc();
            }
            EventKind::Finished(finished) => {
                self.finish_reason = Some(finish_name(finished.reason));
                self.observe_tokens();
                self.enter(Stage::Ended);
            }
            EventKind::Prompt(_) | EventKind::Failed(_) => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// Whether there is something to answer with.
    fn has_output(&self) -> bool {
        self.tokens > 0 || self.has_finished()
    }

    /// The event that ends it where it is. Text that the guest held back, since it could have begun
    /// a stop text, is not in it.
    fn ended_by_time(&self) -> EventKind {
        let (text, reasoning) = (String::new(), String::new());
        let [prompt_tokens, generated_tokens] =
            [self.prompt_tokens, self.tokens].map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
        EventKind::Finished(Finished { reason: FinishReason::Length, text, reasoning, prompt_tokens, generated_tokens })
    }

    /// The mean time of the tokens after the first; nothing if there are none.
    fn observe_tokens(&self) {
        if let (Some(first), Some(later)) = (self.first_token, self.tokens.checked_sub(1).filter(|later| *later > 0)) {
            self.meter.output_token.observe(first.elapsed().as_secs_f64() / later as f64);
        }
    }

    fn enter(&mut self, stage: Stage) {
        for (of, change) in [(self.stage, -1), (stage, 1)] {
            match of {
                Stage::Waiting => self.meter.waiting.inc_by(change),
                Stage::Running => self.meter.running.inc_by(change),
                Stage::Ended => 0,
            };
        }
        self.stage = stage;
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        self.enter(Stage::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_host::text::{GeneratedToken, Started};

    #[test]
    fn a_prompt_is_charged_once_and_each_generated_token() {
        let started = EventKind::Started(Started { prompt_tokens: 7, cached_tokens: 0 });
        assert_eq!((tokens_of(&started, true), tokens_of(&started, false)), (7, 0));
        let (bytes, text, reasoning) = (Vec::new(), String::new(), String::new());
        let token = GeneratedToken { id: 1, bytes, text, reasoning, text_offset: 0, logprobs: None };
        let token = EventKind::Token(token);
        assert_eq!((tokens_of(&token, true), tokens_of(&token, false)), (1, 1));
    }
}
