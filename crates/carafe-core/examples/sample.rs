//! What choosing a token costs, natively: microseconds a row, the least of many runs, for large
//! vocabularies and several ways to sample. The same in a guest is the guest's part of
//! `carafe bench --concurrent 16 --explain`.
//!
//! ```text
//! cargo run --release --package carafe-core --example sample
//! ```

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use carafe_core::text::{Penalties, Sampler, Sampling, rng};

const VOCABULARIES: [usize; 3] = [50_257, 151_936, 262_144];

/// Rows of each measurement, each with a draw of its own.
const ROWS: u64 = 64;
const ROUNDS: u32 = 9;

/// Alternatives whose log-probabilities are listed, where they are.
const LOGPROBS: u32 = 20;

/// A way to sample.
struct Way {
    name: &'static str,
    sampling: Sampling,
    logprobs: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let header = VOCABULARIES.map(|size| format!("{size:>10}"));
    let mut out = io::stdout();
    writeln!(out, "{:<44}{}", "microseconds a row, vocabulary of", header.concat())?;
    for spread in [1.0, 3.0, 8.0] {
        writeln!(out, "logits with a standard deviation of {spread}")?;
        let rows = VOCABULARIES.map(|size| logits(size, spread));
        for way in ways() {
            let mut line = format!("  {:<42}", way.name);
            for logits in &rows {
                let least =
                    (0..ROUNDS).map(|_| measure(&way, logits)).collect::<Result<Vec<_>, _>>()?.into_iter().min();
                let each = least.unwrap_or_default().as_secs_f64() * 1e6 / ROWS as f64;
                line.push_str(&format!("{each:>10.0}"));
            }
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn ways() -> Vec<Way> {
    let plain = Sampling { temperature: 0.8, ..Sampling::default() };
    let way = |name, sampling| Way { name, sampling, logprobs: false };
    vec![
        way("greedy", Sampling { temperature: 0.0, ..plain.clone() }),
        way("temperature 0.8", plain.clone()),
        way("temperature 0.8, top-p 0.95", Sampling { top_p: 0.95, ..plain.clone() }),
        way("temperature 0.8, top-p 0.3", Sampling { top_p: 0.3, ..plain.clone() }),
        way("temperature 0.8, top-k 40, top-p 0.95", Sampling { top_k: Some(40), top_p: 0.95, ..plain.clone() }),
        way("temperature 0.8, top-k 10000, top-p 0.95", Sampling { top_k: Some(10_000), top_p: 0.95, ..plain.clone() }),
        way("temperature 0.8, min-p 0.05", Sampling { min_p: 0.05, ..plain.clone() }),
        way("temperature 0.8, penalties", Sampling { repetition_penalty: 1.1, presence_penalty: 0.5, ..plain.clone() }),
        Way { name: "greedy, log-probabilities", logprobs: true, sampling: Sampling { temperature: 0.0, ..plain } },
    ]
}

/// Samples rows as a generator does: the penalties change a copy, and log-probabilities are those
/// of the row before.
fn measure(way: &Way, logits: &[f32]) -> Result<Duration, Box<dyn Error>> {
    let mut sampler = Sampler::default();
    let prompt: Vec<u32> = (0..500u32).map(|index| index * 97).collect();
    let penalties = Penalties::new(&prompt);
    let mut row = logits.to_vec();
    let mut spent = Duration::ZERO;
    for key in 0..ROWS {
        row.copy_from_slice(logits);
        let started = Instant::now();
        penalties.apply(&way.sampling, &[], &mut row);
        let token = sampler.sample(&row, &way.sampling, rng::fold_in(7, key))?;
        if way.logprobs {
            black_box(sampler.logprobs(logits, token, LOGPROBS)?);
        }
        spent += started.elapsed();
        black_box(token);
    }
    Ok(spent)
}

/// Logits of about a normal distribution.
fn logits(size: usize, spread: f64) -> Vec<f32> {
    let logit = |token: u64| {
        let sum: f64 = (0..12).map(|number| rng::draw(token, number)).sum();
        ((sum - 6.0) * spread) as f32
    };
    (0..size as u64).map(logit).collect()
}
