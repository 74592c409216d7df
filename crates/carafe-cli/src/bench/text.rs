//! Text models: prompts of a length, several requests at once, rounds.

use std::time::Instant;

use anyhow::{Result, bail};
use carafe_host::text::{EventKind, Generation, PrefixSharing, Prompt, Request, TextModel, TextOptions, TextStats};
use carafe_host::{LoadedGraph, Sandbox};
use carafe_models::Task;
use carafe_models::manifest::GenerationDefaults;
use serde_json::{Value, json};

use super::explain::Parts;
use super::native::NativeModel;
use super::timing::{RequestTimes, median, rate, time_to_first_token};
use crate::arguments::Bench;
use crate::machine::{self, Loaded};
use crate::{generate, output};

/// Tokens of each request of a run that is not measured.
const WARM_UP_TOKENS: u32 = 8;

/// The model, wherever its generator runs.
enum Runner {
    Sandboxed(TextModel),
    Native(Box<NativeModel>),
}

/// One run of a number of requests at once.
struct Run {
    concurrent: u32,
    round: u32,
    requests: Vec<RequestTimes>,
    parts: Option<Parts>,
}

/// Measures a text model.
pub(super) fn run(options: &Bench) -> Result<()> {
    let loaded = machine::load(&options.running, &options.model, Task::TextGeneration)?;
    let mut runner = Runner::start(options, &loaded.model)?;
    let requests = |concurrent| requests(options, &loaded.model, concurrent);
    for &concurrent in &options.concurrent {
        let short = requests(concurrent)?.into_iter().map(shortened);
        runner.run(short.collect())?;
    }
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        for &concurrent in &options.concurrent {
            let before = runner.stats();
            let times = runner.run(requests(concurrent)?)?;
            let parts = before.zip(runner.stats()).map(|(before, after)| Parts::between(&before, &after));
            runs.push(Run { concurrent, round, requests: times, parts });
        }
    }
    if options.json {
        return output::json(&as_json(options, &loaded, &runner, &runs));
    }
    options.concurrent.iter().try_for_each(|&concurrent| print(options, &runs, concurrent))?;
    output::note(&format!("\n{}: {}, OpenVINO {}", options.model, loaded.profile_words(), loaded.runtime.version()));
    Ok(())
}

/// A request of the same shape that is soon done: OpenVINO prepares its kernels when it first meets
/// a shape.
fn shortened(request: Request) -> Request {
    Request { max_tokens: request.max_tokens.min(WARM_UP_TOKENS), ..request }
}

impl Runner {
    fn start(options: &Bench, model: &LoadedGraph) -> Result<Self> {
        // The same prompts come again and again, and each time they are to be computed.
        let text = TextOptions { draft_tokens: options.draft_tokens, prefix_sharing: PrefixSharing::Off };
        Ok(if options.native {
            Self::Native(Box::new(NativeModel::open(model, text)?))
        } else {
            Self::Sandboxed(TextModel::start(&Sandbox::new()?, model, text, options.running.limits())?)
        })
    }

    /// Runs requests to their ends; when the tokens of each came.
    fn run(&mut self, requests: Vec<Request>) -> Result<Vec<RequestTimes>> {
        match self {
            Self::Native(model) => model.run(requests),
            Self::Sandboxed(model) => run_sandboxed(model, requests),
        }
    }

    fn stats(&self) -> Option<TextStats> {
        match self {
            Self::Sandboxed(model) => Some(model.stats()),
            Self::Native(_) => None,
        }
    }
}

/// Each request has a listener of its own, as in a server: waiting for one request must not
/// miss another's tokens.
fn run_sandboxed(model: &TextModel, requests: Vec<Request>) -> Result<Vec<RequestTimes>> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let listen = |request| scope.spawn(move || listen(model.submit_blocking(request)?, began));
        let listeners: Vec<_> = requests.into_iter().map(listen).collect();
        listeners.into_iter().map(|listener| listener.join().unwrap_or_else(|_| bail!("a listener panicked"))).collect()
    })
}

fn listen(mut generation: Generation, began: Instant) -> Result<RequestTimes> {
    let mut times = RequestTimes::default();
    while let Some(event) = generation.next_blocking() {
        match event {
            EventKind::Started(started) => times.prompt_tokens = started.prompt_tokens,
            EventKind::Token(_) => times.note(began),
            EventKind::Failed(failure) => bail!("a request failed: {}", failure.message),
            EventKind::Prompt(_) | EventKind::Finished(_) => {}
        }
    }
    Ok(times)
}

fn requests(options: &Bench, model: &LoadedGraph, concurrent: u32) -> Result<Vec<Request>> {
    let vocabulary = model.text()?.vocabulary_size;
    // A measurement says by its flags alone what was measured.
    let sampling = generate::sampling(&options.sampling, &GenerationDefaults::default());
    let request = |number: u32| {
        let prompt = match &options.prompt {
            Some(text) => Prompt::text(text),
            None => Prompt::Tokens(made_up(options.prompt_tokens, vocabulary, number)),
        };
        let mut request = Request::greedy(prompt, options.new_tokens);
        request.sampling = sampling.clone();
        request.sampling.seed = sampling.seed.wrapping_add(number.into());
        request
    };
    Ok((0..concurrent).map(request).collect())
}

/// Tokens by an arithmetic rule, another prompt for each number; none repeats soon enough to
/// predict what follows it.
fn made_up(length: u32, vocabulary: u32, number: u32) -> Vec<u32> {
    let mut state = u64::from(number) * 2 + 12_345;
    let token = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The remainder is below a u32.
        ((state >> 33) % u64::from(vocabulary)) as u32
    };
    (0..length).map(token).collect()
}

fn print(options: &Bench, runs: &[Run], concurrent: u32) -> Result<()> {
    let of = |figure: fn(&[RequestTimes]) -> f64| {
        let runs = runs.iter().filter(|run| run.concurrent == concurrent);
        median(runs.map(|run| figure(&run.requests)).collect())
    };
    let first = of(|requests| time_to_first_token(requests).as_secs_f64() * 1e3);
    output::line(&format!("{concurrent} at a time: {:.1} tokens/s, first token after {first:.1} ms", of(rate)))?;
    let last = runs.iter().rfind(|run| run.concurrent == concurrent).and_then(|run| run.parts.as_ref());
    match last.filter(|_| options.explain) {
        Some(parts) => parts.lines().iter().try_for_each(|line| output::line(line)),
        None => Ok(()),
    }
}

fn as_json(options: &Bench, loaded: &Loaded, runner: &Runner, runs: &[Run]) -> Value {
    let run = |run: &Run| {
        json!({
            "concurrent": run.concurrent,
            "round": run.round,
            "requests": run.requests.iter().map(RequestTimes::as_json).collect::<Vec<_>>(),
            "tokens_per_second": rate(&run.requests),
            "step": run.parts.as_ref().map(Parts::as_json),
        })
    };
    json!({
        "model": options.model,
        "native": options.native,
        "profile": loaded.model.graph().options().profile.to_string(),
        "properties": loaded.model.graph().properties(),
        "openvino": loaded.runtime.version(),
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
        "guest_memory_bytes": runner.stats().map(|stats| stats.guest_memory()),
        "memory": machine::memory(),
    })
}
