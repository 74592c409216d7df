//! A host under attack, in a process of its own: what goes wrong in native code is an abort, and no test survives that.
//!
//! `attacked ATTACK` runs the hostile guest's attack on the tiny model, then a right request on the same graph, and prints one JSON
//! object: what the hostile guest was answered, how it ended, and the tokens of the request after it.

use std::env;
use std::io::Write;

use anyhow::{Context, Result};
use carafe_e2e::{collect, greedy, hostile, load};
use carafe_host::text::TextModel;
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;
use serde_json::json;

fn main() -> Result<()> {
    let attack = env::args().nth(1).context("name an attack")?;
    let sandbox = Sandbox::new()?;
    let model = load("fixtures/models/tiny", Profile::Exact)?;
    let limits = Limits { guest_memory: 64 << 20, tensor_bytes: 32 << 20, ..Limits::default() };
    let attacker = TextModel::start_with(&sandbox, &hostile(&sandbox)?, &model, limits)?;
    let (answers, failure) = match attacker.submit_blocking(greedy(&attack, 1)) {
        Ok(generation) => collect(generation),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let stats = attacker.stats();
    let honest = attacker.submit_blocking(greedy("honest", 1)).map(collect)?;
    let next = TextModel::start(&sandbox, &model, Limits::default())?;
    let (tokens, next_failure) = collect(next.submit_blocking(greedy("The fox", 8))?);
    let report = json!({
        "answers": answers,
        "failure": failure,
        "guest_memory": stats.guest_memory,
        "honest": honest.0,
        "next": { "tokens": tokens, "failure": next_failure },
    });
    Ok(writeln!(std::io::stdout(), "{report}")?)
}
