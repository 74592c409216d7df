//! `carafe-load`: loads a server with OpenAI's completions API, or Carafe's image classifier, and
//! notes when answers come.
//!
//! - `arrivals`: which requests there are and when each is sent: all at once, or as a Poisson
//!   process of a seed
//! - `words`: prompts of a known number of tokens
//! - `completion`: one streamed request and the times of its tokens
//! - `background`: texts that arrive meanwhile, one after the other
//! - `classification`: images, so many at a time
//!
//! It prints one JSON object with the times of every request, which `carafe_bench` makes figures
//! of, and the processor time that it has taken itself: a load generator that is short of processor
//! measures itself. It connects to where it is told and nowhere else, and every wait is bounded.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};

use arrivals::{Arrival, Range};
use words::Words;

mod arrivals;
mod background;
mod classification;
mod completion;
mod processor;
mod words;

/// Most requests of one run, and most threads.
const MAX_REQUESTS: usize = 1024;
/// Most bytes of a text that arrives meanwhile.
const MAX_TEXT: i64 = 1 << 22;

/// Loads a server and prints when its answers came, as JSON.
#[derive(Parser)]
#[command(name = "carafe-load", after_help = AFTER_HELP)]
struct Arguments {
    /// The server's address, as `http://127.0.0.1:3000`.
    #[arg(long, value_name = "URL")]
    url: String,
    /// The model's name.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The `tokenizer.json` whose words make the prompts; for texts.
    #[arg(long, value_name = "FILE", required_unless_present = "image")]
    tokenizer: Option<PathBuf>,
    /// Send prompts as text, for servers that take no token ids.
    #[arg(long)]
    text: bool,
    /// Tokens of a prompt, or a range of them to draw from.
    #[arg(long, value_name = "N or LOW-HIGH", default_value = "32")]
    prompt_tokens: Range,
    /// Tokens to generate, or a range of them to draw from.
    #[arg(long, value_name = "N or LOW-HIGH", default_value = "128")]
    new_tokens: Range,
    /// Requests; without --rate all at once, and images so many at a time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrent: usize,
    /// Requests that arrive at random, so many a second on average.
    #[arg(long, value_name = "PER_SECOND", requires = "requests")]
    rate: Option<f64>,
    /// Requests in all, with --rate or --image.
    #[arg(long, value_name = "N")]
    requests: Option<usize>,
    /// Meanwhile send texts of so many bytes, one after the other; what becomes of them is not
    /// measured.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=MAX_TEXT), conflicts_with = "image")]
    background_text: Option<u32>,
    /// Seed of the prompts, the lengths and the times of arrival.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Classify this image instead of generating text.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  carafe-load --url http://127.0.0.1:3000 --model tales --tokenizer models/tales/tokenizer.json --concurrent 16
  carafe-load --url http://127.0.0.1:3000 --model tales --tokenizer models/tales/tokenizer.json \\
    --rate 2 --requests 40 --prompt-tokens 16-256 --new-tokens 16-128 --seed 7
  carafe-load --url http://127.0.0.1:3000 --model mobilenet-v2 --image images/parrot.jpg --concurrent 4 --requests 100";

fn main() -> ExitCode {
    let result = run(&Arguments::parse())
        .and_then(|report| writeln!(io::stdout().lock(), "{report}").context("failed to write to standard output"));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if standard error is closed.
            let _ = writeln!(io::stderr().lock(), "carafe-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Value> {
    let count = arguments.requests.unwrap_or(arguments.concurrent);
    if count == 0 || count > MAX_REQUESTS || arguments.concurrent == 0 || arguments.concurrent > MAX_REQUESTS {
        bail!("{count} requests, {} at a time: 1 to {MAX_REQUESTS} are possible", arguments.concurrent);
    }
    let before = processor::time();
    let mut report = match &arguments.image {
        Some(image) => classify(arguments, image, count)?,
        None => complete(arguments, count)?,
    };
    report["generator_processor_seconds"] = json!(processor::time() - before);
    Ok(report)
}

fn complete(arguments: &Arguments, count: usize) -> Result<Value> {
    let file = arguments.tokenizer.as_ref().context("`--tokenizer` is needed")?;
    let words = Words::read(file)?;
    let arrivals = match arguments.rate {
        Some(rate) if rate > 0.0 => {
            arrivals::poisson(count, rate, arguments.prompt_tokens, arguments.new_tokens, arguments.seed)
        }
        Some(rate) => bail!("`--rate {rate}`: above 0 was expected"),
        None => {
            let (prompt_tokens, new_tokens) = (arguments.prompt_tokens.low, arguments.new_tokens.low);
            vec![Arrival { at: 0.0, prompt_tokens, new_tokens }; arguments.concurrent]
        }
    };
    let server = completion::Server { url: &arguments.url, model: &arguments.model, text: arguments.text };
    let measure = || completion::run(&server, &words, &arrivals, arguments.seed);
    match arguments.background_text {
        Some(bytes) => background::beside(&server, &words.text_of_bytes(bytes as usize, arguments.seed), measure),
        None => measure(),
    }
}

fn classify(arguments: &Arguments, image: &PathBuf, count: usize) -> Result<Value> {
    let bytes = std::fs::read(image).with_context(|| format!("failed to read `{}`", image.display()))?;
    classification::run(&arguments.url, &arguments.model, &bytes, count, arguments.concurrent)
}
