//! A host under attack, in a process of its own: what goes wrong in native code is an abort, and no
//! test survives that.
//!
//! `attacked ATTACK` runs the hostile guest's attack on the tiny model (`failed-compute` on one
//! that fails), then lets it behave, then runs a right request of another guest on the tiny model.
//! It prints one JSON object: what the hostile guest was answered, how it ended, and the tokens of
//! the request after it.

use std::env;
use std::io::Write;

use anyhow::{Context, Result};
use carafe_e2e::{collect, fragile, greedy, hostile, load};
use carafe_host::text::{TextModel, TextOptions, TextStats};
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;
use serde_json::json;

fn main() -> Result<()> {
    let attack = env::args().nth(1).context("name an attack")?;
    let sandbox = Sandbox::new()?;
    let model = load("fixtures/models/tiny", Profile::Exact)?;
    let limits = Limits { guest_memory: 64 << 20, tensor_bytes: 32 << 20, ..Limits::default() };
    let hostile = hostile(&sandbox)?;
    let guest = TextModel::start_with(&sandbox, &hostile, &model, TextOptions::default(), limits)?;
    let (answers, failure, stats) = if attack == "failed-compute" {
        let (_folder, fragile) = fragile()?;
        run(&TextModel::start_with(&sandbox, &hostile, &fragile, TextOptions::default(), limits)?, &attack)
    } else {
        run(&guest, &attack)
    };
    let honest = guest.submit_blocking(greedy("honest", 1)).map(collect)?;
    let next = TextModel::start(&sandbox, &model, TextOptions::default(), Limits::default())?;
    let (tokens, next_failure) = collect(next.submit_blocking(greedy("The fox", 8))?);
    let report = json!({
        "answers": answers,
        "failure": failure,
        "guest_memory": stats.generator_memory,
        "honest": honest.0,
        "next": { "tokens": tokens, "failure": next_failure },
    });
    Ok(writeln!(std::io::stdout(), "{report}")?)
}

/// The answers to an attack, how it ended, and what its guest took.
fn run(guest: &TextModel, attack: &str) -> (Vec<String>, Option<String>, TextStats) {
    let (answers, failure) = match guest.submit_blocking(greedy(attack, 1)) {
        Ok(generation) => collect(generation),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    (answers, failure, guest.stats())
}
