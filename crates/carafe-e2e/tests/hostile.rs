//! A hostile guest against the host: each attack in a process of its own, each answer with the
//! right code, the next request served.

use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use carafe_e2e::{Ran, collect, greedy, start};
use carafe_openvino::Profile;
use serde_json::Value;

/// The answers to right computes, with the hashes of their logits: the same in every process and
/// context, so nothing of what an attack tried shows in them.
struct Baseline {
    /// To a first step.
    served: String,
    /// To a step that decodes on after it.
    decoded: String,
}

fn baseline() -> &'static Baseline {
    static BASELINE: OnceLock<Baseline> = OnceLock::new();
    BASELINE.get_or_init(|| {
        let last = |name| run(name).expect("a right compute").answers.pop().unwrap_or_default();
        let baseline = Baseline { served: last("honest"), decoded: last("honest-later") };
        assert!(baseline.served.starts_with("served 2048 bytes, "), "{}", baseline.served);
        assert!(baseline.decoded.starts_with("served 2048 bytes, "), "{}", baseline.decoded);
        baseline
    })
}

/// What came of an attack, after the checks that hold for every one: the process lives, the guest
/// is served again when it behaves, and a request of another guest gets the tokens that it always
/// gets.
struct Attack {
    answers: Vec<String>,
    failure: Option<String>,
    guest_memory: u64,
    /// The answer to a right compute afterwards.
    honest: Vec<String>,
}

fn attack(name: &str) -> Result<Attack> {
    let attack = run(name)?;
    assert_eq!(attack.honest, [baseline().served.clone()], "`{name}`: the guest is not served any more");
    Ok(attack)
}

fn run(name: &str) -> Result<Attack> {
    let output = Command::new(env!("CARGO_BIN_EXE_attacked")).arg(name).output()?;
    let ran = Ran::new(&output);
    let report = ran.json().with_context(|| format!("the host did not survive `{name}`: {ran:?}"))?;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    assert!(report["next"]["failure"].is_null(), "`{name}`: the next request failed: {}", report["next"]);
    assert_eq!(texts(&report["next"]["tokens"]), undisturbed_tokens()?, "`{name}`: the next request's tokens changed");
    Ok(Attack {
        answers: texts(&report["answers"]),
        failure: report["failure"].as_str().map(str::to_owned),
        guest_memory: report["guest_memory"].as_u64().unwrap_or_default(),
        honest: texts(&report["honest"]),
    })
}

fn undisturbed_tokens() -> Result<Vec<String>> {
    let model = start("fixtures/models/tiny", Profile::Exact)?;
    Ok(collect(model.submit_blocking(greedy("The fox", 8))?).0)
}

/// Refusals and the right compute after each, on the same context.
fn assert_refused_then_served(name: &str, tries: usize, words: &str) -> Result<()> {
    let attack = attack(name)?;
    assert_eq!(attack.failure, None, "`{name}`");
    assert_eq!(attack.answers.len(), 2 * tries, "`{name}`: {:?}", attack.answers);
    for pair in attack.answers.chunks(2) {
        let is_right = pair[0].starts_with("ErrorCode::InvalidArgument: ");
        assert!(is_right && pair[0].contains(words), "`{name}`: {pair:?}");
        assert_eq!(pair[1], baseline().served, "`{name}`: the context died of a refused tensor");
    }
    Ok(())
}

fn assert_all(answers: &[String], count: usize, code: &str) {
    assert_eq!(answers.len(), count, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.starts_with(&format!("ErrorCode::{code}:"))), "{answers:?}");
}

#[test]
fn bytes_that_do_not_match_the_shape_are_refused() -> Result<()> {
    assert_refused_then_served("lengths", 40, "bytes")
}

#[test]
fn dimensions_that_are_zero_huge_or_too_many_are_refused() -> Result<()> {
    assert_refused_then_served("dimensions", 8, "input_ids")
}

#[test]
fn names_that_are_unknown_doubled_missing_or_hold_a_nul_are_refused() -> Result<()> {
    let attack = attack("names")?;
    assert_eq!(attack.answers.len(), 17, "{:?}", attack.answers);
    let refused =
        |answer: &String| answer.starts_with("ErrorCode::InvalidArgument") || answer.starts_with("ErrorCode::NotFound");
    let (pairs, rest) = attack.answers.split_at(14);
    for pair in pairs.chunks(2) {
        assert!(refused(&pair[0]) && pair[0].len() < 1000, "{pair:?}");
        assert_eq!(pair[1], baseline().served);
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
    // Six inputs, each with the first value after its range and four wild ones.
    assert_refused_then_served("values", 30, "expected")
}

/// Refusals of steps that contradict one another or the cache, between two right steps: the second
/// decodes on as if nothing had been.
fn assert_refused_between(name: &str, tries: usize, words: &str) -> Result<()> {
    let attack = attack(name)?;
    assert_eq!(attack.failure, None, "`{name}`");
    let [first, wrong @ .., last] = &attack.answers[..] else { panic!("`{name}`: {:?}", attack.answers) };
    assert_all(wrong, tries, "InvalidArgument");
    assert!(wrong.iter().all(|answer| answer.contains(words)), "`{name}`: {wrong:?}");
    assert!(first.starts_with("served 2048 bytes"), "`{name}`: {first}");
    assert_eq!(*last, baseline().decoded, "`{name}`: a refused step has changed the cache");
    Ok(())
}

#[test]
fn blocks_of_others_or_beyond_the_cache_are_refused() -> Result<()> {
    assert_refused_between("foreign-blocks", 7, "block_indices")
}

#[test]
fn a_block_that_is_written_is_named_once() -> Result<()> {
    assert_refused_between("blocks-written-twice", 6, "block_indices")
}

#[test]
fn prefix_sums_that_do_not_rise_from_0_to_the_total_are_refused() -> Result<()> {
    assert_refused_between("prefix-sums", 13, "_begins")
}

#[test]
fn a_past_beyond_what_was_written_is_refused() -> Result<()> {
    assert_refused_between("unwritten-past", 3, "expected")
}

#[test]
fn blocks_that_an_earlier_context_wrote_cannot_be_read() -> Result<()> {
    let answers = attack("stale-blocks")?.answers;
    assert!(answers[0].starts_with("served 2048 bytes"), "{answers:?}");
    assert_all(&answers[1..2], 1, "InvalidArgument");
    assert_eq!(answers[2], baseline().served);
    Ok(())
}

#[test]
fn counts_that_do_not_match_and_logits_that_nobody_wants_are_refused() -> Result<()> {
    assert_refused_between("counts", 9, "expected")
}

#[test]
fn steps_over_the_bounds_are_too_large() -> Result<()> {
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
    let answers = attack("contexts")?.answers;
    assert_all(&answers[..1], 1, "TooLarge");
    assert!(answers[0].contains("KV cache"), "{answers:?}");
    assert_eq!(answers[1], "served", "a dropped context makes room");
    Ok(())
}

#[test]
fn a_context_whose_compute_failed_is_dead_and_another_is_not() -> Result<()> {
    let answers = attack("failed-compute")?.answers;
    assert_all(&answers[..2], 2, "RuntimeError");
    assert!(answers[0].to_lowercase().contains("reshape"), "OpenVINO's own words are missing: {}", answers[0]);
    assert!(answers[2].starts_with("served 2048 bytes"), "{answers:?}");
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
fn a_crash_ends_its_own_request_wherever_it_happens() -> Result<()> {
    for name in ["crash", "crash-in-submit", "crash-in-prepare"] {
        let failure = attack(name)?.failure.unwrap_or_default();
        assert!(failure.contains("the guest failed and was replaced"), "`{name}`: {failure}");
    }
    Ok(())
}
