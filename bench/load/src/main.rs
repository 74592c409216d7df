//! `carafe-load`: loads a server with OpenAI's completions API, or Carafe's image classifier, and
//! notes when answers come.
//!
//! - `arrivals`: which requests there are and when each is sent: all at once, or as a Poisson
//!   process of a seed
//! - `words`: prompts of a known number of tokens
//! - `completion`: one streamed request and the times of its tokens, and many of them
//! - `conversation`: a second turn, and the same without the first
//! - `tenants`: clients with API keys that send one request after the other
//! - `background`: texts that arrive meanwhile, one after the other
//! - `classification`: images, so many at a time
//!
//! It prints one JSON object with the times of every request, which `carafe_bench` makes figures
//! of, and the processor time that it has taken itself: a load generator that is short of processor
//! measures itself. It connects to where it is told and nowhere else, and every wait is bounded.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};

use arrivals::{Arrival, Range};
use completion::{Request, Server};
use conversation::Conversation;
use tenants::Tenant;
use words::Words;

mod arrivals;
mod background;
mod classification;
mod completion;
mod conversation;
mod processor;
mod tenants;
#[cfg(test)]
mod testing;
mod words;

/// Most requests of one run, and most threads.
const MAX_REQUESTS: usize = 1024;
/// Most bytes of a text that arrives meanwhile.
const MAX_TEXT: i64 = 1 << 22;

/// How long tenants may send.
const MAX_SECONDS: u64 = 3600;

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
    /// Tokens with which all prompts begin, before those of --prompt-tokens; one request that
    /// begins with them is answered first and not measured.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "image")]
    shared_tokens: u64,
    /// Send the second turn of a conversation: --prompt-tokens, the answer to them and so many
    /// tokens more; and before that a prompt of the same length that continues nothing.
    #[arg(long, value_name = "N",
        conflicts_with_all = ["rate", "concurrent", "background_text", "shared_tokens", "tenant", "image"])]
    second_turn: Option<u64>,
    /// An API key and how many requests its tenant sends at a time, for --seconds; may be given
    /// several times.
    #[arg(long, value_name = "KEY=CONCURRENT", requires = "seconds",
        conflicts_with_all = ["rate", "concurrent", "background_text", "shared_tokens", "image"])]
    tenant: Vec<Tenant>,
    /// How long tenants send requests.
    #[arg(long, value_name = "N", requires = "tenant", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
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
  carafe-load --url http://127.0.0.1:3000 --model tales --tokenizer models/tales/tokenizer.json \\
    --prompt-tokens 128 --new-tokens 32 --second-turn 32
  carafe-load --url http://127.0.0.1:3000 --model tales --tokenizer models/tales/tokenizer.json \\
    --tenant 0123456789abcdef=4 --tenant fedcba9876543210=32 --seconds 20 --new-tokens 64
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
    let at_once = arguments.tenant.iter().map(|tenant| tenant.concurrent).sum::<usize>().max(arguments.concurrent);
    let count = arguments.requests.unwrap_or(at_once);
    if count == 0 || count > MAX_REQUESTS || at_once == 0 || at_once > MAX_REQUESTS {
        bail!("{count} requests, {at_once} at a time: 1 to {MAX_REQUESTS} are possible");
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
    let server = Server { url: &arguments.url, model: &arguments.model, text: arguments.text };
    let (prompt_tokens, new_tokens) = (arguments.prompt_tokens.low, arguments.new_tokens.low);
    if let Some(added_tokens) = arguments.second_turn {
        let lengths = Conversation { prompt_tokens, new_tokens, added_tokens };
        return conversation::run(&server, &words, &lengths, arguments.seed);
    }
    if let Some(seconds) = arguments.seconds.map(Duration::from_secs) {
        let load = tenants::Load { server, words: &words, prompt_tokens, new_tokens, seed: arguments.seed };
        return tenants::run(&load, &arguments.tenant, |began| began.elapsed() >= seconds);
    }
    send_arrivals(arguments, &server, &words, count)
}

/// Requests that arrive at random or at once, which may begin with the same words.
fn send_arrivals(arguments: &Arguments, server: &Server<'_>, words: &Words, count: usize) -> Result<Value> {
    let (shared, seed) = (words.prompt(arguments.shared_tokens, arguments.seed), arguments.seed);
    let request = |(seed, arrival): (u64, &Arrival)| {
        let own = words.prompt(arrival.prompt_tokens, seed);
        Request { at: arrival.at, prompt: [&shared[..], &own[..]].concat(), new_tokens: arrival.new_tokens }
    };
    let arrivals = arrivals(arguments, count)?;
    let requests: Vec<Request<'_>> = (seed..).zip(&arrivals).map(request).collect();
    if !shared.is_empty() {
        let earlier = Arrival { at: 0.0, prompt_tokens: arguments.prompt_tokens.low, new_tokens: 1 };
        completion::run(server, &[request((seed + arrivals.len() as u64, &earlier))])?;
    }
    let measure = || completion::run(server, &requests);
    match arguments.background_text {
        Some(bytes) => background::beside(server, &words.text_of_bytes(bytes as usize, seed), measure),
        None => measure(),
    }
}

/// When requests arrive and how long they are.
fn arrivals(arguments: &Arguments, count: usize) -> Result<Vec<Arrival>> {
    let Arguments { prompt_tokens, new_tokens, concurrent, seed, .. } = *arguments;
    match arguments.rate {
        Some(rate) if rate > 0.0 => Ok(arrivals::poisson(count, rate, prompt_tokens, new_tokens, seed)),
        Some(rate) => bail!("`--rate {rate}`: above 0 was expected"),
        None => {
            let arrival = Arrival { at: 0.0, prompt_tokens: prompt_tokens.low, new_tokens: new_tokens.low };
            Ok(vec![arrival; concurrent])
        }
    }
}

fn classify(arguments: &Arguments, image: &PathBuf, count: usize) -> Result<Value> {
    let bytes = std::fs::read(image).with_context(|| format!("failed to read `{}`", image.display()))?;
    classification::run(&arguments.url, &arguments.model, &bytes, count, arguments.concurrent)
}
