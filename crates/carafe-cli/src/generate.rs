//! `carafe generate`: continues a text, streaming, in the sandbox or natively.
//!
//! Both ways are a [`Source`] of the same events, so everything after it is the same: printing,
//! timing, the summary.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use carafe_host::text::{Prompt, Reasoning, Request, Sampling, TextOptions};
use carafe_models::manifest::GenerationDefaults;
use carafe_models::{ModelFolder, Task};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::arguments::{Generate, SamplingOptions};
use crate::machine::{self, Loaded};
use crate::source::{Native, Sandboxed, Source};
use crate::{offer, output};
use outcome::Outcome;

mod outcome;
mod summary;

/// What the shell expects of a program that Ctrl-C stopped.
const INTERRUPTED: u8 = 130;

/// The bundled model, which is made to continue texts.
const USUAL_MODEL: &str = "tales";

/// Tokens to generate if it is not said how many.
const DEFAULT_MAX_TOKENS: u32 = 64;

/// Runs the command.
pub(crate) fn run(options: &Generate) -> Result<ExitCode> {
    let prompt = match &options.prompt {
        Some(prompt) => prompt.clone(),
        None => output::standard_input("`--prompt TEXT`")?,
    };
    let loaded = machine::load(&options.running, &chosen(options)?, Task::TextGeneration)?;
    let request = request(options, prompt, &loaded.model.text()?.generation);
    let seed = request.sampling.seed;
    let interrupted = watch_interrupts()?;
    let mut outcome = Outcome::new(Instant::now());
    let mut source = start(options, &loaded, request)?;
    let print = !options.json;
    while !interrupted.load(Ordering::Relaxed) {
        let Some(event) = source.next()? else { break };
        let text = outcome.take(event)?;
        if print {
            output::data(&text)?;
        }
    }
    if print && io::stdout().is_terminal() && !outcome.text().ends_with('\n') {
        output::line("")?;
    }
    summary::print(options, &loaded, &outcome, seed, source.guest_memory())?;
    Ok(if outcome.is_finished() { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// The name of the model to use.
fn chosen(options: &Generate) -> Result<String> {
    if let Some(name) = &options.model {
        return Ok(name.clone());
    }
    let folders = machine::usable_models(&machine::catalogue(&options.running.directories)?);
    let mut names = folders.iter().map(ModelFolder::manifest).filter(|manifest| manifest.task == Task::TextGeneration);
    match names.clone().find(|manifest| manifest.name == USUAL_MODEL).or_else(|| names.next()) {
        Some(manifest) => Ok(manifest.name.clone()),
        None => offer::default_model(&options.fetching, "generate", "no text model was found"),
    }
}

fn start(options: &Generate, loaded: &Loaded, request: Request) -> Result<Box<dyn Source>> {
    let text = TextOptions { draft_tokens: options.draft_tokens, ..TextOptions::default() };
    Ok(if options.native {
        Box::new(Native::start(&loaded.model, text, request)?)
    } else {
        Box::new(Sandboxed::start(&loaded.model, text, options.running.limits(), request)?)
    })
}

fn request(options: &Generate, prompt: String, model: &GenerationDefaults) -> Request {
    Request {
        prompt: Prompt::text(prompt),
        max_tokens: options.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        max_tokens_is_default: options.max_tokens.is_none(),
        sampling: sampling(&options.sampling, model),
        stop: options.stop.clone(),
        ignore_eos: options.ignore_eos,
        min_tokens: options.min_tokens,
        logprobs: options.logprobs,
        echo: options.echo,
        reasoning: Reasoning::InText,
        skip_special_tokens: true,
        tenant: 0,
        prefix_cache: true,
        resume: Vec::new(),
    }
}

/// How tokens are chosen, as the flags say, and where they say nothing, as the model's makers do.
pub(crate) fn sampling(options: &SamplingOptions, model: &GenerationDefaults) -> Sampling {
    Sampling {
        temperature: options.temperature.or(model.temperature).unwrap_or(1.0),
        top_k: options.top_k.or(model.top_k),
        top_p: options.top_p.or(model.top_p).unwrap_or(1.0),
        min_p: options.min_p.or(model.min_p).unwrap_or(0.0),
        repetition_penalty: options.repetition_penalty.or(model.repetition_penalty).unwrap_or(1.0),
        frequency_penalty: options.frequency_penalty,
        presence_penalty: options.presence_penalty,
        logit_bias: options.logit_bias.clone(),
        seed: options.seed.unwrap_or_else(new_seed),
    }
}

/// A seed that differs from run to run: the keys that std draws for its hash tables. 32 bits, to be
/// typed again.
fn new_seed() -> u64 {
    RandomState::new().hash_one(0) >> 32
}

/// A flag that the first Ctrl-C sets; a second one ends the process at once.
fn watch_interrupts() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // In this order: the first interrupt finds the flag still down.
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), interrupted.clone())
        .and_then(|_| flag::register(SIGINT, interrupted.clone()))
        .context("failed to watch for Ctrl-C")?;
    Ok(interrupted)
}

/// An event that ends a request in failure becomes an error.
fn failed<T>(message: &str) -> Result<T> {
    bail!("the request failed: {message}")
}
