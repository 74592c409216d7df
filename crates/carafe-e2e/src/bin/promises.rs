//! What a request can rely on, measured: how many of some requests have other tokens when they are
//! run again, when their prompts are cut otherwise, beside others, with draft tokens, and where
//! their prompts are found in the prefix cache. Prints the table of docs/precision.md for a model
//! on this processor.
//!
//! ```text
//! cargo run --release --package carafe-e2e --bin promises -- models/tales
//! ```

use std::env;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use carafe_e2e::runtime;
use carafe_host::text::{EventKind, Generation, PrefixSharing, Prompt, Request, TextModel, TextOptions};
use carafe_host::{DecoderLimits, Limits, LoadedGraph, Sandbox};
use carafe_models::ModelFolder;
use carafe_openvino::{KvCachePrecision, Options, Profile};

/// Requests of each kind.
const REQUESTS: u32 = 32;
/// Tokens that each generates.
const TOKENS: u32 = 100;
/// How many run at a time under load.
const LOAD: usize = 8;
/// A shorter chunk than any model's but the largest.
const SHORT_CHUNK: u32 = 32;

/// A way to run a model.
#[derive(Clone, Copy)]
struct Way {
    options: Options,
    prefill_chunk: Option<u32>,
    draft_tokens: u32,
    at_a_time: usize,
    /// Whether each prompt was computed before, and its blocks are found.
    finds_prefix: bool,
}

fn main() -> Result<()> {
    let folder = env::args().nth(1).context("name a model's folder")?;
    let folder = ModelFolder::open(Path::new(&folder))?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| profile, cache | temperature | again alone | prompt cut by {SHORT_CHUNK} | {LOAD} at a time | drafts | prefix found |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    let caches = [
        (Profile::Exact, None),
        (Profile::Auto, None),
        (Profile::Latency, Some(KvCachePrecision::F32)),
        (Profile::Fast, None),
        (Profile::Latency, Some(KvCachePrecision::U8)),
    ];
    for (profile, kv_cache_precision) in caches {
        let options = Options { profile, kv_cache_precision, ..Options::default() };
        let alone = Way { options, prefill_chunk: None, draft_tokens: 0, at_a_time: 1, finds_prefix: false };
        let others = [
            alone,
            Way { prefill_chunk: Some(SHORT_CHUNK), ..alone },
            Way { at_a_time: LOAD, ..alone },
            Way { draft_tokens: 3, ..alone },
            Way { finds_prefix: true, ..alone },
        ];
        for temperature in [1.0, 0.0] {
            let expected = alone.run(&folder, temperature)?.1;
            let mut cells = Vec::new();
            let mut precision = String::new();
            for way in others {
                let (cache, got) = way.run(&folder, temperature)?;
                let differ = expected.iter().zip(&got).filter(|(expected, got)| expected != got).count();
                cells.push(format!("{differ} of {REQUESTS}"));
                precision = cache;
            }
            writeln!(out, "| `{profile}`, {precision} | {temperature} | {} |", cells.join(" | "))?;
        }
    }
    Ok(())
}

impl Way {
    /// The precision of the cache, and the tokens of each request.
    fn run(self, folder: &ModelFolder, temperature: f32) -> Result<(String, Vec<Vec<u32>>)> {
        let decoder = DecoderLimits { prefill_chunk: self.prefill_chunk, ..DecoderLimits::default() };
        let graph = LoadedGraph::load(&runtime()?, folder.clone(), &self.options, &decoder)?;
        let cache = graph.graph().cache().context("no text model")?.value_precision.clone();
        let vocabulary = graph.text()?.vocabulary_size;
        let prefix_sharing = if self.finds_prefix { PrefixSharing::All } else { PrefixSharing::Off };
        let options = TextOptions { draft_tokens: self.draft_tokens, prefix_sharing };
        let model = TextModel::start(&Sandbox::new()?, &graph, options, Limits::default())?;
        if self.finds_prefix {
            self.run_all(&model, vocabulary, temperature)?;
        }
        Ok((cache, self.run_all(&model, vocabulary, temperature)?))
    }

    /// The tokens of each request.
    fn run_all(self, model: &TextModel, vocabulary: u32, temperature: f32) -> Result<Vec<Vec<u32>>> {
        let mut results = Vec::new();
        let mut running = std::collections::VecDeque::new();
        for number in 0..REQUESTS {
            if running.len() == self.at_a_time {
                results.push(finish(running.pop_front().context("none runs")?)?);
            }
            running.push_back(model.submit_blocking(request(number, vocabulary, temperature))?);
        }
        for generation in running {
            results.push(finish(generation)?);
        }
        Ok(results)
    }
}

/// A prompt of 40 to 120 tokens, by an arithmetic rule.
fn request(number: u32, vocabulary: u32, temperature: f32) -> Request {
    let length = 40 + number * 37 % 81;
    let token = |place: u32| (number.wrapping_mul(7919).wrapping_add(place.wrapping_mul(104_729)) >> 3) % vocabulary;
    let mut request = Request::greedy(Prompt::Tokens((0..length).map(token).collect()), TOKENS);
    (request.sampling.temperature, request.sampling.seed) = (temperature, number.into());
    request
}

fn finish(mut generation: Generation) -> Result<Vec<u32>> {
    let mut tokens = Vec::new();
    while let Some(event) = generation.next_blocking() {
        match event {
            EventKind::Token(token) => tokens.push(token.id),
            EventKind::Failed(failure) => bail!("a request failed: {}", failure.message),
            EventKind::Started(_) | EventKind::Prompt(_) | EventKind::Finished(_) => {}
        }
    }
    Ok(tokens)
}
