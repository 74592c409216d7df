//! `carafe-bandwidth`: how fast this machine's processors read memory together, in bytes a second,
//! as JSON.
//!
//!     carafe-bandwidth THREADS [MIB]
//!
//! Each thread sums up an array of its own (512 MiB in all unless said), far larger than any cache;
//! the best of several passes counts, for a limit is asked for. A model whose weights are read once
//! a token cannot generate more tokens than this divided by their size.

use std::env;
use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

const DEFAULT_MIB: usize = 512;
const PASSES: usize = 9;
/// Numbers that are summed side by side, so that additions do not wait for each other.
const LANES: usize = 32;

fn main() -> Result<()> {
    let mut numbers = env::args().skip(1).map(|word| word.parse::<usize>());
    let threads = numbers.next().context("usage: carafe-bandwidth THREADS [MIB]")??;
    let mebibytes = numbers.next().transpose()?.unwrap_or(DEFAULT_MIB);
    ensure!(
        (1..=1024).contains(&threads) && (1..=1 << 16).contains(&mebibytes),
        "1 to 1024 threads and 1 to 65536 MiB"
    );
    let words = mebibytes * (1 << 20) / size_of::<u64>() / threads;
    let barrier = Barrier::new(threads);
    let times: Vec<Vec<f64>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(|| read(words, &barrier))).collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).collect()
    });
    // A pass is over when its slowest thread is.
    let pass = |index: usize| times.iter().map(|times| times[index]).fold(0.0, f64::max);
    let best = (0..PASSES).map(pass).fold(f64::INFINITY, f64::min);
    let bytes = (words * threads * size_of::<u64>()) as f64;
    let report = json!({ "threads": threads, "bytes": bytes, "bytes_per_second": bytes / best });
    Ok(writeln!(io::stdout().lock(), "{report}")?)
}

/// Seconds of each pass over an array.
fn read(words: usize, barrier: &Barrier) -> Vec<f64> {
    let array: Vec<u64> = (0..words as u64).collect();
    let pass = |_| {
        barrier.wait();
        let started = Instant::now();
        black_box(sum(black_box(&array)));
        started.elapsed().as_secs_f64()
    };
    (0..PASSES).map(pass).collect()
}

fn sum(array: &[u64]) -> u64 {
    let mut lanes = [0_u64; LANES];
    for chunk in array.as_chunks::<LANES>().0 {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.wrapping_add(*value);
        }
    }
    lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}
