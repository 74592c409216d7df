//! What the processor can do that matters here, which profile follows from it, and how many threads
//! compute.

use std::fs;

use carafe_host::{Sandbox, options_of};
use carafe_models::ModelFolder;
use carafe_openvino::{Options, processor_features};
use serde_json::json;

use super::{Finding, Status, Topic};
use crate::arguments::Running;
use crate::machine;

/// Looks with the flags of the server.
pub(super) fn look(running: &Running, served: &[ModelFolder]) -> Topic {
    let options = running.options();
    let asks_for_f32 = |folder: &&ModelFolder| options_of(folder, &options).keeps_f32();
    let others = served.iter().find(asks_for_f32).map(|folder| {
        let name = &folder.manifest().name;
        profile(&options_of(folder, &options), &format!(" for `{name}`"))
    });
    let findings = [processor(), profile(&options, "")].into_iter().chain(others).chain([threads(&options), guests()]);
    Topic::new("processor", "Processor", findings.collect())
}

fn processor() -> Finding {
    let features = processor_features();
    let has = if features.is_empty() { "none of AVX2, VNNI, bf16, AMX".to_owned() } else { features.join(", ") };
    Finding::new(Status::Good, format!("{}, with {has}", name()))
        .with_facts(json!({ "name": name(), "features": features }))
}

fn name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("a processor that does not tell its name", |(_, name)| name.trim()).to_owned()
}

fn profile(options: &Options, of: &str) -> Finding {
    let (profile, resolved) = (options.profile, options.resolved_profile());
    let activations = if options.keeps_f32() { " with f32 activations" } else { "" };
    let text = match options.profile_reason() {
        Some(reason) => format!("profile `{profile}` is `{resolved}`{activations}{of}, since {reason}"),
        None => format!("profile `{profile}`{activations}"),
    };
    Finding::new(Status::Good, text).with_facts(json!({ "profile": resolved.to_string() }))
}

fn threads(options: &Options) -> Finding {
    let processors = machine::processors();
    let threads = match options.threads {
        Some(threads) => format!("{threads} threads"),
        None => "as many threads as OpenVINO chooses".to_owned(),
    };
    let text = format!("{threads}; this process may use {processors} processors");
    Finding::new(Status::Good, text).with_facts(json!({ "processors": processors, "threads": options.threads }))
}

fn guests() -> Finding {
    match Sandbox::new() {
        Ok(sandbox) if sandbox.is_precompiled() => {
            Finding::new(Status::Good, "guests run as they were compiled beforehand")
        }
        Ok(_) => Finding::new(
            Status::Note,
            "guests are compiled at every start, which takes seconds: this processor is below x86-64-v3",
        ),
        Err(error) => Finding::of_error(Status::Error, error).or_remedy("Carafe runs on Linux on x86-64 only"),
    }
}
