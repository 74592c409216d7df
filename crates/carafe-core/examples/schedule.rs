//! How the scheduler fares under loads of many requests, without a model: a step takes the time
//! that one of GPT-2's size takes on two cores, by a formula, and nothing is computed. Hours of
//! load are over in seconds, so policies can be compared.
//!
//! ```text
//! cargo run --release --package carafe-core --example schedule
//! ```

use std::{cell::Cell, collections::BTreeMap, error::Error, rc::Rc};

use carafe_core::text::Role;
use carafe_core::text::{
    EventKind, Generator, Logits, ModelInput, ModelRunner, PrefixSharing, Prompt, Request, RunError, TextModel, rng,
};
use carafe_core::tokenizer::{Tokenizer, compact_form};

/// With how many seeds each load is simulated.
const SEEDS: u64 = 8;

/// Requests that arrive at random.
struct Load {
    name: &'static str,
    requests: u64,
    /// Requests a second.
    rate: f64,
    prompt_tokens: (u64, u64),
    new_tokens: (u64, u64),
}

const LOADS: [Load; 5] = [
    Load {
        name: "the benchmark's mixed load",
        requests: 30,
        rate: 1.5,
        prompt_tokens: (16, 512),
        new_tokens: (16, 256),
    },
    Load { name: "the same, fewer a second", requests: 80, rate: 1.0, prompt_tokens: (16, 512), new_tokens: (16, 256) },
    Load { name: "short prompts", requests: 100, rate: 4.0, prompt_tokens: (8, 64), new_tokens: (16, 128) },
    Load { name: "long prompts", requests: 40, rate: 1.0, prompt_tokens: (300, 900), new_tokens: (16, 64) },
    Load { name: "short requests", requests: 200, rate: 8.0, prompt_tokens: (8, 32), new_tokens: (8, 48) },
];

/// A clock, in seconds, instead of a model.
struct Timed {
    clock: Rc<Cell<f64>>,
    vocabulary_size: usize,
}

impl ModelRunner for Timed {
    fn reset(&mut self) -> Result<(), RunError> {
        Ok(())
    }

    fn run(&mut self, inputs: &[ModelInput], logits: &mut Logits) -> Result<(), RunError> {
        let values = |role| inputs.iter().find(|input| input.role == role).map_or(&[][..], |input| &input.values);
        let (tokens, rows) = (values(Role::InputIds).len() as f64, values(Role::PastLens).len() as f64);
        let seen: f64 = values(Role::PositionIds).iter().copied().map(f64::from).sum();
        let milliseconds = 6.0 + tokens * 0.65 + seen * 0.0015 + 0.07 * rows;
        self.clock.set(self.clock.get() + milliseconds / 1e3);
        let count = values(Role::LogitIdx).len() * self.vocabulary_size;
        logits.refill(|values| values.extend(std::iter::repeat_n(0.0, count)));
        Ok(())
    }
}

/// What a load came to; times in milliseconds.
#[derive(Default)]
struct Outcome {
    tokens: usize,
    seconds: f64,
    first_tokens: Vec<f64>,
    gaps: Vec<f64>,
}

/// The time of arrival and the request, in order.
fn arrivals(load: &Load, seed: u64, vocabulary_size: u32) -> Vec<(f64, Request)> {
    let mut drawn = (0..).map(|number| rng::draw(seed, number));
    let mut draw = || drawn.next().unwrap_or_default();
    let mut at = 0.0;
    let arrival = |number| {
        let mut between = |(low, high): (u64, u64)| low + (draw() * (high - low + 1) as f64) as u64;
        let (prompt, new_tokens) = (between(load.prompt_tokens), between(load.new_tokens));
        let token = |place| (rng::draw(seed + number, place) * f64::from(vocabulary_size)) as u32;
        let mut request = Request::new(Prompt::Tokens((0..prompt).map(token).collect()), new_tokens as u32);
        request.ignore_eos = true;
        request.sampling.temperature = 0.0;
        let arrived = at;
        at -= (1.0 - draw()).ln() / load.rate;
        (arrived, request)
    };
    (0..load.requests).map(arrival).collect()
}

/// Runs a load to its end.
fn simulate(load: &Load, seed: u64, total: &mut Outcome) -> Result<(), Box<dyn Error>> {
    let tokenizer = Tokenizer::open(&compact_form(include_bytes!("../../../fixtures/models/tiny/tokenizer.json"))?)?;
    let vocabulary_size = tokenizer.vocabulary_size();
    let model = TextModel {
        context_length: 1024,
        vocabulary_size,
        eos_token_ids: vec![0],
        block_size: 32,
        num_blocks: 1024,
        max_num_seqs: 64,
        max_num_batched_tokens: 512,
        max_num_logits: 128,
        prefill_chunk: 128,
        draft_tokens: 0,
        prefix_sharing: PrefixSharing::Tenant,
    };
    let clock = Rc::new(Cell::new(0.0));
    let timed = Timed { clock: Rc::clone(&clock), vocabulary_size: vocabulary_size as usize };
    let mut generator = Generator::new(timed, tokenizer, model)?;
    let mut waiting = arrivals(load, seed, vocabulary_size).into_iter().peekable();
    let (mut arrived, mut latest) = (BTreeMap::new(), BTreeMap::new());
    loop {
        while let Some((at, request)) = waiting.next_if(|(at, _)| *at <= clock.get()) {
            arrived.insert(generator.submit(request)?, at);
        }
        if generator.is_idle() {
            let Some((at, _)) = waiting.peek() else { break };
            clock.set(*at);
            continue;
        }
        for event in generator.step() {
            if matches!(event.kind, EventKind::Token { .. }) {
                total.tokens += 1;
                let now = clock.get();
                match latest.insert(event.request, now) {
                    None => total.first_tokens.push((now - arrived[&event.request]) * 1e3),
                    Some(before) => total.gaps.push((now - before) * 1e3),
                }
            }
        }
    }
    total.seconds += clock.get();
    Ok(())
}

/// The value that a share of the others does not exceed.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("| load | tokens/s | first token, p50 and p99, ms | between tokens, p50, p99 and longest, ms |");
    println!("|---|---:|---:|---:|");
    for load in &LOADS {
        let mut outcome = Outcome::default();
        (0..SEEDS).try_for_each(|seed| simulate(load, seed, &mut outcome))?;
        let speed = outcome.tokens as f64 / outcome.seconds;
        let first = [0.5, 0.99].map(|share| percentile(&mut outcome.first_tokens, share));
        let [gap, long_gap, longest] = [0.5, 0.99, 1.0].map(|share| percentile(&mut outcome.gaps, share));
        println!(
            "| {} | {speed:.0} | {:.0}, {:.0} | {gap:.1}, {long_gap:.0}, {longest:.0} |",
            load.name, first[0], first[1]
        );
    }
    Ok(())
}
