//! `carafe doctor`: what was found on this machine, what is wrong with it, and what to do.
//!
//! Each topic is a module that looks by the same means as the commands do, with the same flags and
//! variables, and gives findings; `finding` has their form and prints them. Nothing is mended here.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::arguments::Doctor;
use crate::{machine, output};
use finding::{Finding, Status, Topic};

mod adding;
mod address;
mod caches;
mod finding;
mod memory;
mod models;
mod openvino;
mod processor;
mod variables;

/// Runs the command.
pub(crate) fn run(options: &Doctor) -> Result<ExitCode> {
    let (openvino, version) = openvino::look();
    let (models, served) = models::look(options, version.as_deref());
    let topics = [
        openvino,
        processor::look(&options.running, &served),
        memory::look(&options.running, &served),
        models,
        address::look(options.host, options.port),
        adding::look(),
        variables::look(),
        caches::look(),
    ];
    let serves = !topics.iter().any(|topic| topic.has(Status::Error));
    if options.json {
        let topics: Vec<_> = topics.iter().map(Topic::as_json).collect();
        output::json(&json!({ "version": env!("CARGO_PKG_VERSION"), "serves": serves, "topics": topics }))?;
    } else {
        print(&topics, serves)?;
    }
    Ok(if serves { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The topics one below the other, and last what it comes to.
fn print(topics: &[Topic], serves: bool) -> Result<()> {
    output::line(&format!("Carafe {}, {}", env!("CARGO_PKG_VERSION"), machine::origin()))?;
    for topic in topics {
        topic.print()?;
    }
    let warns = topics.iter().any(|topic| topic.has(Status::Warning));
    output::line(match (serves, warns) {
        (true, false) => "\nAll is well: `carafe serve` can serve.",
        (true, true) => "\n`carafe serve` can serve. What is marked with ! deserves a look.",
        (false, _) => "\n`carafe serve` cannot serve until what is marked with ✗ is mended.",
    })
}
