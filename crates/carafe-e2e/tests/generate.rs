//! `carafe generate`, by the real binary.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use carafe_e2e::server::wait;
use carafe_e2e::{Ran, carafe, run};
use serde_json::Value;

/// Linux's number of the signal that Control-C sends.
const SIGINT: u32 = 2;

/// Ids of the generated tokens.
fn ids(arguments: &[&str]) -> Result<Vec<u64>> {
    let mut all = vec!["generate", "--json"];
    all.extend(arguments);
    let report = run(&all)?.json()?;
    let tokens = report["tokens"].as_array().context("no tokens")?;
    Ok(tokens.iter().filter_map(|token| token["id"].as_u64()).collect())
}

#[test]
fn sandboxed_and_native_give_the_same_tokens() -> Result<()> {
    let prompts =
        ["Once upon a time", "The king said", "In the morning the old man went down to the sea, and", "é 日本 🦊"];
    let samplings: [&[&str]; 5] = [
        &["--temperature", "0"],
        &["--temperature", "0.8", "--top-p", "0.9"],
        &["--temperature", "1.2", "--top-k", "40", "--min-p", "0.02"],
        &["--repetition-penalty", "1.3", "--frequency-penalty", "0.5", "--presence-penalty", "-0.5"],
        &["--logit-bias", "42=3.5", "--top-k", "20", "--temperature", "2"],
    ];
    for (number, prompt) in prompts.iter().enumerate() {
        for sampling in samplings {
            let seed = number.to_string();
            let mut arguments = vec!["--prompt", prompt, "--max-tokens", "24", "--ignore-eos", "--seed", &seed];
            arguments.extend(sampling);
            let sandboxed = ids(&arguments)?;
            arguments.push("--native");
            assert_eq!(sandboxed, ids(&arguments)?, "{arguments:?}");
            assert_eq!(sandboxed.len(), 24);
        }
    }
    Ok(())
}

#[test]
fn a_prompt_is_scored_alike_in_the_sandbox_and_natively() -> Result<()> {
    let prompt = "The old king 🦊";
    let arguments = ["generate", "--json", "--echo", "--logprobs", "2", "--max-tokens", "0", "--prompt", prompt];
    let sandboxed = run(&arguments)?.json()?;
    let native = run(&[&arguments[..], &["--native"]].concat())?.json()?;
    assert_eq!(sandboxed["prompt"], native["prompt"]);
    assert_eq!((&sandboxed["text"], &sandboxed["tokens"]), (&prompt.into(), &serde_json::json!([])));
    let scored = sandboxed["prompt"].as_array().context("no prompt")?;
    assert!(scored[0]["logprob"].is_null() && scored[1..].iter().all(|token| token["logprob"].as_f64() < Some(0.0)));
    Ok(())
}

#[test]
fn another_seed_gives_other_tokens_and_the_same_seed_the_same() -> Result<()> {
    let of_seed = |seed| ids(&["--prompt", "The", "--max-tokens", "16", "--ignore-eos", "--seed", seed]);
    assert_eq!(of_seed("1")?, of_seed("1")?);
    assert_ne!(of_seed("1")?, of_seed("2")?);
    Ok(())
}

#[test]
fn text_goes_to_standard_output_and_the_summary_to_standard_error() -> Result<()> {
    let arguments = ["generate", "--prompt", "Once upon a time", "--max-tokens", "8", "--temperature", "0"];
    let plain = run(&arguments)?;
    let mut with_json = arguments.to_vec();
    with_json.push("--json");
    let report = run(&with_json)?.json()?;
    assert_eq!(plain.out, report["text"].as_str().unwrap_or_default());
    assert_eq!(report["usage"]["completion_tokens"], 8);
    for part in ["tales: profile auto", "OpenVINO 20", "tokens/s", "guest memory", "host memory", "8 tokens"] {
        assert!(plain.err.contains(part), "no `{part}` in {}", plain.err);
    }
    Ok(())
}

#[test]
fn the_prompt_may_come_from_standard_input() -> Result<()> {
    let mut child = carafe(&["generate", "--max-tokens", "4", "--temperature", "0", "--json"])?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no stdin")?.write_all(b"Once upon a time")?;
    let piped = Ran::new(&child.wait_with_output()?).json()?;
    let given =
        run(&["generate", "--max-tokens", "4", "--temperature", "0", "--json", "--prompt", "Once upon a time"])?
            .json()?;
    assert_eq!(piped["text"], given["text"]);
    Ok(())
}

#[test]
fn a_stop_text_ends_the_output_and_is_not_delivered() -> Result<()> {
    let arguments = ["generate", "--json", "--prompt", "Once upon a time", "--temperature", "0", "--max-tokens", "24"];
    let whole = run(&arguments)?.json()?["text"].as_str().unwrap_or_default().to_owned();
    let stop: String = whole.chars().skip(10).take(5).collect();
    let mut stopped = arguments.to_vec();
    stopped.extend(["--stop", &stop]);
    let report = run(&stopped)?.json()?;
    let end = whole.find(&stop).context("the stop text is part of the output")?;
    assert_eq!(report["text"].as_str(), Some(&whole[..end]));
    assert_eq!(report["finish_reason"], "stop");
    Ok(())
}

#[test]
fn log_probabilities_name_the_chosen_token_and_its_alternatives() -> Result<()> {
    let arguments =
        ["generate", "--json", "--prompt", "Once", "--temperature", "0", "--max-tokens", "3", "--logprobs", "4"];
    let report = run(&arguments)?.json()?;
    for token in report["tokens"].as_array().context("no tokens")? {
        let top = token["top_logprobs"].as_array().context("no alternatives")?;
        let values: Vec<f64> = top.iter().filter_map(|entry| entry["logprob"].as_f64()).collect();
        assert_eq!(values.len(), 4);
        assert!(values.is_sorted_by(|left, right| left >= right) && values[0] <= 0.0, "{values:?}");
        // Greedy: the chosen token is the most probable one.
        assert_eq!((&token["id"], &token["logprob"]), (&top[0]["id"], &top[0]["logprob"]));
    }
    Ok(())
}

/// Arguments that are refused, and what the error must say: the parameter, its limit and the value.
const REFUSALS: [(&[&str], &[&str]); 12] = [
    (&["--max-tokens", "300"], &["max_tokens", "300", "256"]),
    (&["--temperature", "-0.5"], &["temperature", "-0.5", "0 to 2"]),
    (&["--temperature", "2.5"], &["temperature", "2.5", "0 to 2"]),
    (&["--top-p", "1.5"], &["top_p", "1.5", "0 to 1"]),
    (&["--min-p", "1"], &["min_p", "below 1"]),
    (&["--top-k", "0"], &["top_k", "0"]),
    (&["--repetition-penalty", "0"], &["repetition_penalty", "above 0"]),
    (&["--presence-penalty", "-3"], &["presence_penalty", "-3", "-2 to 2"]),
    (&["--logit-bias", "8192=1"], &["logit_bias", "8192"]),
    (&["--stop", ""], &["stop"]),
    (&["--prompt", ""], &["prompt", "empty"]),
    (&["--model", "gpt-5"], &["gpt-5", "tales", "tiny"]),
];

#[test]
fn what_is_out_of_range_is_refused_by_name_limit_and_value() -> Result<()> {
    for (arguments, words) in REFUSALS {
        let mut all = vec!["generate"];
        if !arguments.contains(&"--prompt") {
            all.extend(["--prompt", "Once"]);
        }
        all.extend(arguments);
        let ran = run(&all)?;
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{arguments:?}: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{arguments:?}: no `{word}` in {}", ran.err);
        }
    }
    Ok(())
}

#[test]
fn a_prompt_longer_than_the_context_is_refused_and_not_cut() -> Result<()> {
    let prompt = "word ".repeat(600);
    let ran = run(&["generate", "--prompt", &prompt])?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("256"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_guest_with_too_little_memory_says_so() -> Result<()> {
    let ran = run(&["generate", "--prompt", "Once", "--guest-memory", "2"])?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("2097152") && ran.err.contains("--guest-memory"), "{}", ran.err);
    Ok(())
}

#[test]
fn four_gibibytes_of_guest_memory_cannot_be_asked_for() -> Result<()> {
    let ran = run(&["generate", "--prompt", "Once", "--guest-memory", "4096"])?;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("4096"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_missing_openvino_names_every_place() -> Result<()> {
    let ran = Ran::new(&carafe(&["generate", "--prompt", "Once"])?.env("CARAFE_OPENVINO", "/nonexistent").output()?);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nonexistent") && ran.err.contains("CARAFE_OPENVINO"), "{}", ran.err);
    Ok(())
}

#[test]
fn control_c_stops_cleanly() -> Result<()> {
    let (mut out, full) = full_stdout()?;
    let arguments = ["generate", "--prompt", "Once", "--max-tokens", "250", "--ignore-eos"];
    let child = carafe(&arguments)?.stdout(full).stderr(Stdio::piped()).spawn()?;
    wait("the program to watch for interrupts", || catches_interrupts(child.id()))?;
    Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status()?;
    out.read_to_string(&mut String::new())?;
    let ran = Ran::new(&child.wait_with_output()?);
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains("interrupted"), "{}", ran.err);
    Ok(())
}

/// A standard output that takes nothing until its other end is read, so that no text is finished
/// before.
fn full_stdout() -> Result<(UnixStream, Stdio)> {
    let (reader, mut writer) = UnixStream::pair()?;
    writer.set_nonblocking(true)?;
    while writer.write(b".").is_ok() {}
    writer.set_nonblocking(false)?;
    Ok((reader, OwnedFd::from(writer).into()))
}

/// Whether a process has a handler for SIGINT, by the mask that Linux shows of it.
fn catches_interrupts(process: u32) -> Result<bool> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no SigCgt")?;
    Ok(u64::from_str_radix(mask.trim(), 16)? & 1 << (SIGINT - 1) != 0)
}

#[test]
fn every_profile_runs_and_says_what_it_is() -> Result<()> {
    let of_profile = |profile| -> Result<Value> {
        run(&["generate", "--json", "--prompt", "Once", "--max-tokens", "2", "--profile", profile])?.json()
    };
    let [exact, fast, latency] = [of_profile("exact")?, of_profile("fast")?, of_profile("latency")?];
    assert_eq!(exact["properties"]["INFERENCE_PRECISION_HINT"], "f32");
    for unquantised in [&exact, &latency] {
        assert_eq!(unquantised["properties"]["DYNAMIC_QUANTIZATION_GROUP_SIZE"], "0");
    }
    let precision = |generated: &Value| generated["properties"]["INFERENCE_PRECISION_HINT"].clone();
    assert_eq!(precision(&latency), precision(&fast));
    let names = [&exact, &fast, &latency].map(|generated| generated["profile"].clone());
    assert_eq!(names, ["exact", "fast", "latency"]);
    Ok(())
}
