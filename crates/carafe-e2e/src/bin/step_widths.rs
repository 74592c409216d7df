//! What a step of a number of tokens that was not computed before costs, in time and memory:
//! OpenVINO makes kernels for each. Once as steps are, and once rounded up to a multiple of 8
//! tokens by a padding sequence on a block of its own.
//!
//! ```text
//! cargo run --release --package carafe-e2e --bin step_widths -- models/tales
//! ```

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use carafe_e2e::runtime;
use carafe_host::{DecoderLimits, LoadedGraph};
use carafe_models::ModelFolder;
use carafe_openvino::{Context, Options, Tensor};

/// Steps, each of a number of tokens drawn evenly from 1 to [`WIDEST`].
const STEPS: u32 = 600;
const WIDEST: u32 = 160;
const BLOCK: u32 = 32;
/// Enough for the widest step, and one for padding.
const BLOCKS: u32 = WIDEST / BLOCK + 1;

fn main() -> Result<()> {
    let folder = env::args().nth(1).context("name a model's folder")?;
    let mut out = std::io::stdout();
    writeln!(out, "| rounded up to | widths | first time, ms | again, ms | all steps, s | memory, MiB |")?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|")?;
    for multiple in [1, 8] {
        let folder = ModelFolder::open(Path::new(&folder))?;
        let loaded = LoadedGraph::load(&runtime()?, folder, &Options::default(), &DecoderLimits::default())?;
        loaded.warm_up()?;
        let graph = loaded.graph().clone().with_num_blocks(BLOCKS);
        writeln!(out, "{}", measure(&mut graph.context()?, multiple)?)?;
    }
    Ok(())
}

/// A row of the table.
fn measure(context: &mut Context, multiple: u32) -> Result<String> {
    compute(context, WIDEST, 0)?;
    let memory = resident()?;
    let (mut seen, mut first, mut again) = (BTreeSet::from([WIDEST]), Vec::new(), Vec::new());
    let mut state = 1_u64;
    for _ in 0..STEPS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let tokens = 1 + u32::try_from((state >> 33) % u64::from(WIDEST))?;
        let padding = tokens.next_multiple_of(multiple) - tokens;
        let time = compute(context, tokens, padding)?;
        if seen.insert(tokens + padding) { &mut first } else { &mut again }.push(time);
    }
    let grown = resident()?.saturating_sub(memory) >> 20;
    let all: Duration = first.iter().chain(&again).sum();
    let (widths, first, again, all) = (first.len(), median(first), median(again), all.as_secs_f64());
    Ok(format!("| {multiple} | {widths} | {first:.1} | {again:.1} | {all:.1} | {grown} |"))
}

/// Computes so many tokens of one sequence, and so many of another that nobody wants.
fn compute(context: &mut Context, tokens: u32, padding: u32) -> Result<Duration> {
    let signed =
        |values: Vec<u32>| -> Result<Vec<i32>> { Ok(values.into_iter().map(i32::try_from).collect::<Result<_, _>>()?) };
    let list = |values: Vec<u32>| -> Result<Tensor> {
        Ok(Tensor::from_i32(&[u32::try_from(values.len())?], &signed(values)?))
    };
    let (blocks, padded) = (tokens.div_ceil(BLOCK), padding > 0);
    let with_padding = |mut values: Vec<u32>, more: u32| {
        values.extend(padded.then_some(more));
        values
    };
    let inputs = [
        ("input_ids", list((0..tokens + padding).map(|place| place % 7).collect())?),
        ("position_ids", list((0..tokens).chain(0..padding).collect())?),
        ("past_lens", list(with_padding(vec![0], 0))?),
        ("subsequence_begins", list(with_padding(vec![0, tokens], tokens + padding))?),
        ("block_indices", list(with_padding((0..blocks).collect(), BLOCKS - 1))?),
        ("block_indices_begins", list(with_padding(vec![0, blocks], blocks + 1))?),
        ("max_context_len", Tensor::from_i32(&[], &signed(vec![tokens.max(padding)])?)),
        ("logit_idx", list(vec![tokens - 1])?),
    ];
    let views: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
    let started = Instant::now();
    context.compute_with(&views, |_, _| ())?;
    Ok(started.elapsed())
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| 1e3 * time.as_secs_f64())
}

/// Bytes of memory that this process has.
fn resident() -> Result<u64> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split_whitespace().nth(1).context("`/proc/self/statm` has no second number")?.parse::<u64>()? * 4096)
}
