//! A hostile guest against the host: each attack in a process of its own, each answer with the right code, the next request served.

use std::process::Command;

use anyhow::{Context, Result};
use carafe_e2e::{Ran, collect, greedy, load};
use carafe_host::text::TextModel;
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;
use serde_json::Value;

/// What came of an attack, after the checks that hold for every one: the process lives, the guest is served again when it behaves,
/// and a request of another guest gets the tokens that it always gets.
struct Attack {
    answers: Vec<String>,
    failure: Option<String>,
    guest_memory: u64,
}

fn attack(name: &str) -> Result<Attack> {
    let output = Command::new(env!("CARGO_BIN_EXE_attacked")).arg(name).output()?;
    let ran = Ran::new(&output);
    let report = ran.json().with_context(|| format!("the host did not survive `{name}`: {ran:?}"))?;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    assert_eq!(texts(&report["honest"]), ["served 2048 bytes"], "`{name}`: the guest is not served any more");
    assert!(report["next"]["failure"].is_null(), "`{name}`: the next request failed: {}", report["next"]);
    assert_eq!(texts(&report["next"]["tokens"]), undisturbed_tokens()?, "`{name}`: the next request's tokens changed");
    Ok(Attack {
        answers: texts(&report["answers"]),
        failure: report["failure"].as_str().map(str::to_owned),
        guest_memory: report["guest_memory"].as_u64().unwrap_or_default(),
    })
}

fn undisturbed_tokens() -> Result<Vec<String>> {
    let model = TextModel::start(&Sandbox::new()?, &load("fixtures/models/tiny", Profile::Exact)?, Limits::default())?;
    Ok(collect(model.submit_blocking(greedy("The fox", 8))?).0)
}

/// Refusals and the right compute after each, on the same context.
fn assert_refused_then_served(name: &str, tries: usize, words: &str) -> Result<()> {
    let attack = attack(name)?;
    assert_eq!(attack.failure, None, "`{name}`");
    assert_eq!(attack.answers.len(), 2 * tries, "`{name}`: {:?}", attack.answers);
    for pair in attack.answers.chunks(2) {
        // A shape whose size passes 64 bits is too large before it is wrong.
        let code = if pair[0].contains("more than 64 bits") { "TooLarge" } else { "InvalidArgument" };
        let is_right = pair[0].starts_with(&format!("ErrorCode::{code}: "));
        assert!(is_right && pair[0].contains(words), "`{name}`: {pair:?}");
        assert_eq!(pair[1], "served 2048 bytes", "`{name}`: the context died of a refused tensor");
    }
    Ok(())
}

fn assert_all(answers: &[String], count: usize, code: &str) {
    assert_eq!(answers.len(), count, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.starts_with(&format!("ErrorCode::{code}:"))), "{answers:?}");
}

#[test]
fn bytes_that_do_not_match_the_shape_are_refused() -> Result<()> {
    assert_refused_then_served("lengths", 5, "input_ids")
}

#[test]
fn dimensions_that_are_zero_huge_or_too_many_are_refused() -> Result<()> {
    assert_refused_then_served("dimensions", 8, "input_ids")
}

#[test]
fn names_that_are_unknown_doubled_missing_or_hold_a_nul_are_refused() -> Result<()> {
    let attack = attack("names")?;
    assert_eq!(attack.answers.len(), 15, "{:?}", attack.answers);
    let refused =
        |answer: &String| answer.starts_with("ErrorCode::InvalidArgument") || answer.starts_with("ErrorCode::NotFound");
    let (pairs, rest) = attack.answers.split_at(12);
    for pair in pairs.chunks(2) {
        assert!(refused(&pair[0]) && pair[0].len() < 1000, "{pair:?}");
        assert_eq!(pair[1], "served 2048 bytes");
    }
    assert!(rest.iter().all(refused), "{rest:?}");
    Ok(())
}

#[test]
fn types_that_the_graph_does_not_take_are_refused_wide_ones_among_them() -> Result<()> {
    assert_refused_then_served("types", 6, "input_ids")
}

#[test]
fn index_values_out_of_their_range_are_refused() -> Result<()> {
    assert_refused_then_served("input-ids", 5, "input_ids")?;
    assert_refused_then_served("position-ids", 5, "position_ids")?;
    assert_refused_then_served("beam-idx", 5, "beam_idx")?;
    assert_refused_then_served("logit-idx", 5, "logit_idx")?;
    assert_refused_then_served("attention-mask", 5, "attention_mask")
}

#[test]
fn rows_that_the_step_before_did_not_have_are_refused() -> Result<()> {
    let answers = attack("beam-idx-later")?.answers;
    assert_all(&answers[1..5], 4, "InvalidArgument");
    assert_eq!([&answers[0], &answers[5]], ["served 2048 bytes"; 2]);
    Ok(())
}

#[test]
fn masks_that_do_not_fit_the_cache_are_refused() -> Result<()> {
    let answers = attack("mask-width")?.answers;
    assert_all(&answers[1..4], 3, "InvalidArgument");
    assert_eq!([&answers[0], &answers[4]], ["served 2048 bytes"; 2]);
    Ok(())
}

#[test]
fn steps_over_the_manifests_bounds_are_too_large() -> Result<()> {
    assert_all(&attack("bounds")?.answers, 4, "TooLarge");
    Ok(())
}

#[test]
fn graphs_that_the_host_did_not_load_are_not_found() -> Result<()> {
    let answers = attack("graphs")?.answers;
    assert_all(&answers[..5], 5, "NotFound");
    assert_all(&answers[5..], 1, "InvalidArgument");
    Ok(())
}

#[test]
fn load_from_bytes_is_refused_for_every_target_tpu_included() -> Result<()> {
    assert_all(&attack("load")?.answers, 9, "Security");
    Ok(())
}

#[test]
fn contexts_are_capped() -> Result<()> {
    assert_all(&attack("contexts")?.answers, 1, "TooLarge");
    Ok(())
}

#[test]
fn what_all_contexts_cache_is_capped_and_given_back_with_a_context() -> Result<()> {
    let answers = attack("caches")?.answers;
    assert_all(&answers[2..3], 1, "TooLarge");
    assert_eq!([&answers[0], &answers[1], &answers[3]], ["served 2048 bytes"; 3]);
    Ok(())
}

#[test]
fn a_context_whose_compute_failed_is_dead_and_another_is_not() -> Result<()> {
    let answers = attack("failed-compute")?.answers;
    assert_all(&answers[..2], 2, "RuntimeError");
    assert!(answers[0].to_lowercase().contains("reshape"), "OpenVINO's own words are missing: {}", answers[0]);
    assert_eq!(answers[2], "served 32 bytes");
    Ok(())
}

#[test]
fn bytes_of_tensors_are_capped() -> Result<()> {
    assert_eq!(attack("tensor-bytes")?.answers, ["kept 32 MiB"]);
    Ok(())
}

#[test]
fn handles_kept_for_ever_end_the_guest_alone() -> Result<()> {
    for name in ["tensors", "errors"] {
        let attack = attack(name)?;
        assert!(
            attack.failure.is_some_and(|message| message.contains("the guest failed")),
            "`{name}`: {:?}",
            attack.answers
        );
    }
    Ok(())
}

#[test]
fn an_endless_loop_ends_at_the_limit_of_its_time() -> Result<()> {
    let failure = attack("loop")?.failure.unwrap_or_default();
    assert!(failure.contains("limit of 2 s"), "{failure}");
    Ok(())
}

#[test]
fn endless_memory_ends_at_the_cap() -> Result<()> {
    let attack = attack("memory")?;
    let failure = attack.failure.unwrap_or_default();
    assert!(failure.contains("67108864") && failure.contains("--guest-memory"), "{failure}");
    assert!((32 << 20..=64 << 20).contains(&attack.guest_memory), "{}", attack.guest_memory);
    Ok(())
}

#[test]
fn a_crash_ends_its_own_request_in_submit_as_in_step() -> Result<()> {
    for name in ["crash", "crash-in-submit"] {
        let failure = attack(name)?.failure.unwrap_or_default();
        assert!(failure.contains("the guest failed and was replaced"), "`{name}`: {failure}");
    }
    Ok(())
}
