//! Load without end: memory stays where it is once the model has seen its shapes. In a process of
//! its own, whose memory is measured.

use std::collections::VecDeque;
use std::fs;

use anyhow::{Context, Result, ensure};
use carafe_e2e::start;
use carafe_host::text::{EventKind, Generation, Prompt, Request};
use carafe_openvino::Profile;

const REQUESTS: u32 = 30_000;
const AT_A_TIME: usize = 16;
/// After so many there is little that is seen for the first time.
const WARM: u32 = 4_000;
/// What the rest may add to the anonymous memory: far less than a megabyte for a hundred requests
/// that were not given back.
const MAY_GROW: u64 = 24 << 20;

#[test]
fn thirty_thousand_requests_of_any_length_leave_memory_as_it_was() -> Result<()> {
    let model = start("models/tales", Profile::Fast)?;
    let mut running = VecDeque::new();
    let mut warm = None;
    for number in 0..REQUESTS {
        if running.len() == AT_A_TIME {
            finish(running.pop_front().context("none runs")?)?;
        }
        running.push_back(model.submit_blocking(request(number))?);
        if number == WARM {
            warm = Some((anonymous_memory()?, model.stats().guest_memory()));
        }
    }
    running.into_iter().try_for_each(finish)?;
    let (before, guest_before) = warm.context("never warm")?;
    let (after, guest_after) = (anonymous_memory()?, model.stats().guest_memory());
    assert!(after <= before + MAY_GROW, "{before} bytes became {after}");
    assert_eq!(guest_after, guest_before);
    assert_eq!(model.stats().counted.used_blocks, 0, "every block is free at the end");
    Ok(())
}

/// Prompts of 1 to 40 tokens and outputs of 1 to 8, drawn by the number; greedy and sampled.
fn request(number: u32) -> Request {
    let draw = |below: u32| (number.wrapping_mul(2_654_435_761).rotate_left(below % 31) >> 7) % below;
    let prompt = (0..1 + draw(40)).map(|place| (number * 31 + place * 7) % 8192).collect();
    let mut request = Request::greedy(Prompt::Tokens(prompt), 1 + draw(8));
    request.sampling.temperature = (number % 2) as f32;
    request.sampling.seed = u64::from(number);
    request.ignore_eos = true;
    request
}

fn finish(mut generation: Generation) -> Result<()> {
    let mut finished = false;
    while let Some(event) = generation.next_blocking() {
        finished |= matches!(event, EventKind::Finished(_));
    }
    ensure!(finished, "a request did not finish");
    Ok(())
}

/// Bytes of this process's memory that no file backs.
fn anonymous_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(kibibytes.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
