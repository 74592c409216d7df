//! A decoder computed by a real OpenVINO: its pages give the logits of the stateful graph, however
//! tokens are cut and batched.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use carafe_openvino::{Context, Error, ErrorKind, Graph, KvCachePrecision, Options, Profile};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::support::{
    BLOCKS, IDS, Inputs, LOGITS, Part, VOCABULARY, decoder, difference, files_in, root, runtime, tiny,
};

/// What `tests/fixtures/make.py` wrote of the stateful graph.
struct Golden {
    tokens: Vec<i32>,
    stride: usize,
    logits: Vec<Vec<f32>>,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stateful.json");
    let value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).expect("the file is there")).expect("JSON");
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
    };
    Golden {
        tokens: numbers(&value["tokens"]).into_iter().map(|token| token as i32).collect(),
        stride: value["stride"].as_u64().expect("a number") as usize,
        logits: value["logits"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| numbers(row).into_iter().map(|number| number as f32).collect())
            .collect(),
    }
}

impl Golden {
    /// Tokens of the sequence from `past` to `end`, whose blocks these are.
    fn part(&self, past: usize, end: usize, blocks: &[i32]) -> Part {
        let blocks = blocks[..end.div_ceil(32)].to_vec();
        Part { past: past as i32, tokens: self.tokens[past..end].to_vec(), blocks }
    }

    /// The largest difference between logits and those of the stateful graph after the token at
    /// `place`.
    fn error(&self, logits: &[f32], place: usize) -> f32 {
        let chosen: Vec<f32> = logits.iter().step_by(self.stride).copied().collect();
        difference(&chosen, &self.logits[place])
    }
}

fn run(context: &mut Context, parts: &[Part]) -> Vec<Vec<f32>> {
    Inputs::of(parts).run(context).expect("computes")
}

/// The largest difference to the stateful graph over a schedule of cuts, concurrent rows and
/// rejected drafts.
fn largest_error(graph: &Graph) -> f32 {
    let golden = golden();
    let mut context = graph.context().expect("a context");
    let mut errors = vec![0.0];
    let (first, second) = ([3, 0], [1, 5]);
    // All of a prompt's logits at once.
    let mut inputs = Inputs::of(&[golden.part(0, 20, &first)]);
    inputs.0[LOGITS] = (0..20).collect();
    for (place, logits) in inputs.run(&mut context).expect("computes").iter().enumerate() {
        errors.push(golden.error(logits, place));
    }
    // Two sequences with the same tokens, one of them behind: prefill chunks beside decoding, over
    // the border of a block.
    for (ahead, behind) in [((20, 21), (0, 7)), ((21, 32), (7, 8)), ((32, 33), (8, 33)), ((33, 40), (33, 34))] {
        let parts = [golden.part(ahead.0, ahead.1, &first), golden.part(behind.0, behind.1, &second)];
        let logits = run(&mut context, &parts);
        errors.push(golden.error(&logits[0], ahead.1 - 1));
        errors.push(golden.error(&logits[1], behind.1 - 1));
    }
    // Draft tokens that were rejected are undone by a smaller past.
    run(&mut context, &[Part { past: 34, tokens: vec![1, 2, 3], blocks: second.to_vec() }]);
    errors.push(golden.error(&run(&mut context, &[golden.part(34, 40, &second)])[0], 39));
    errors.into_iter().fold(0.0, f32::max)
}

#[test]
fn pages_give_the_logits_of_the_stateful_graph_however_tokens_are_cut_and_batched() {
    for (profile, most) in [(Profile::Exact, 1e-4), (Profile::Auto, 0.1), (Profile::Latency, 0.1), (Profile::Fast, 0.1)]
    {
        let Some(graph) = tiny(profile) else { return };
        let error = largest_error(&graph);
        // The logits of this model go to about 3.
        assert!(error < most, "{profile}: {error}");
    }
}

#[test]
fn the_precision_of_the_cache_is_that_of_the_profile_or_the_one_asked_for() {
    let Some(runtime) = runtime() else { return };
    let files = files_in(&root().join("fixtures/models/tiny"), "model");
    let load = |profile, kv_cache_precision| {
        let options = Options { profile, kv_cache_precision, ..Options::default() };
        Graph::load(&runtime, &files, decoder(VOCABULARY), &options)
    };
    let precision =
        |profile, asked| load(profile, asked).expect("loads").cache().expect("a decoder").value_precision.clone();
    assert_eq!(precision(Profile::Exact, None), "f32");
    assert!(["f16", "bf16"].contains(&&*precision(Profile::Auto, None)));
    for asked in [KvCachePrecision::F32, KvCachePrecision::F16, KvCachePrecision::U8] {
        assert_eq!(precision(Profile::Exact, Some(asked)), asked.name());
    }
    assert_eq!(precision(Profile::Latency, Some(KvCachePrecision::U8)), "u8");
    // The plugin has no cache of bf16 beside activations of f32, nor the other way round.
    let error = load(Profile::Exact, Some(KvCachePrecision::Bf16)).err().expect("refused").to_string();
    assert!(error.starts_with("a KV cache of bf16 does not go with activations of f32"), "{error}");
    match load(Profile::Latency, Some(KvCachePrecision::F32)) {
        Ok(graph) => assert_eq!(graph.cache().expect("a decoder").value_precision, "f32"),
        Err(error) => assert!(error.to_string().starts_with("a KV cache of f32 does not go"), "{error}"),
    }
}

#[test]
fn the_same_schedule_gives_the_same_bits_alone_and_on_several_threads() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let logits = || {
        let mut context = graph.context().expect("a context");
        run(&mut context, &[golden().part(0, 30, &[2])]);
        run(&mut context, &[golden().part(30, 40, &[2, 4])])
    };
    let alone = logits();
    let results: Vec<Vec<Vec<f32>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(logits)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(results.iter().all(|logits| *logits == alone));
}

#[test]
fn a_refused_step_leaves_the_cache_as_it_was_and_a_new_context_has_nothing_to_read() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let part = |past, tokens: &[i32], block| Part { past, tokens: tokens.to_vec(), blocks: vec![block] };
    let mut context = graph.context().expect("a context");
    run(&mut context, &[part(0, &[5, 6, 7], 1)]);
    let next = Inputs::of(&[part(3, &[8], 1)]);
    let refused = Inputs::of(&[part(3, &[8], 0)]).run(&mut context).expect_err("never written");
    assert!(matches!(refused, Error::Inconsistent { .. }), "{refused}");
    let again = next.run(&mut context).expect("computes");
    let mut other = graph.context().expect("a context");
    let refused = next.run(&mut other).expect_err("a new context");
    assert!(matches!(refused, Error::Inconsistent { .. }), "{refused}");
    run(&mut other, &[part(0, &[5, 6, 7], 0)]);
    assert_eq!(again, run(&mut other, &[part(3, &[8], 0)]));
}

#[test]
fn a_context_is_dead_after_an_inference_that_failed_and_another_is_not() {
    let Some(runtime) = runtime() else { return };
    let files = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), "fragile");
    let graph = Graph::load(&runtime, &files, decoder(VOCABULARY), &Options::default()).expect("loads");
    let graph = graph.with_num_blocks(2);
    let step = |token| Inputs::of(&[Part { past: 0, tokens: vec![token], blocks: vec![0] }]);
    let mut context = graph.context().expect("a context");
    step(1).run(&mut context).expect("this token computes");
    let failed = step(7).run(&mut context).expect_err("this one does not");
    assert_eq!((failed.kind(), failed.to_string().as_str()), (ErrorKind::Runtime, "OpenVINO failed to compute"));
    let words = std::error::Error::source(&failed).expect("OpenVINO's own words").to_string();
    assert!(words.to_lowercase().contains("reshape"), "{words}");
    assert!(context.is_dead());
    let refused = step(1).run(&mut context).expect_err("dead");
    assert!(matches!(refused, Error::DeadContext), "{refused}");
    step(1).run(&mut graph.context().expect("a context")).expect("another context is not touched");
}

#[test]
fn a_graph_without_a_cache_is_not_paged_and_says_why() {
    let Some(runtime) = runtime() else { return };
    let files = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), "stateless");
    let refused = Graph::load(&runtime, &files, decoder(8), &Options::default()).err().expect("refused");
    assert!(refused.to_string().starts_with("OpenVINO failed to turn the KV cache of `"), "{refused}");
    let words = std::error::Error::source(&refused).expect("words").to_string();
    assert!(words.contains("stateful"), "{words}");
}

#[test]
fn a_context_without_blocks_or_with_more_than_there_is_memory_for_is_an_error() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let refused = graph.clone().with_num_blocks(0).context().err().expect("no blocks");
    assert!(refused.to_string().contains("at least one block"), "{refused}");
    let refused = graph.with_num_blocks(i32::MAX.unsigned_abs()).context().err().expect("too many");
    assert!(refused.to_string().contains("make a context with 2147483647 blocks"), "{refused}");
}

/// What the rules are for: whatever passes them, OpenVINO computes it, and neither fails, aborts
/// nor reads elsewhere.
#[test]
fn every_random_step_that_passes_is_computed_to_finite_logits() {
    let part = (0..40_i32, proptest::collection::vec(0..VOCABULARY.cast_signed(), 1..12));
    let parts = (
        proptest::collection::vec(part, 1..4),
        proptest::strategy::Just((0..BLOCKS.cast_signed()).collect::<Vec<_>>()).prop_shuffle(),
    );
    let mut runner = TestRunner::deterministic();
    for profile in [Profile::Auto, Profile::Fast, Profile::Exact] {
        let Some(graph) = tiny(profile) else { return };
        let mut context = graph.context().expect("a context");
        for first in [0, 2, 4] {
            run(&mut context, &[Part { past: 0, tokens: vec![first; 64], blocks: vec![first, first + 1] }]);
        }
        let mut computed = 0;
        for _ in 0..100 {
            let (parts, blocks) = parts.new_tree(&mut runner).expect("a step").current();
            let mut blocks = blocks.into_iter();
            let part = |(past, tokens): (i32, Vec<i32>)| {
                let needed = (past as usize + tokens.len()).div_ceil(32);
                Part { past, tokens, blocks: blocks.by_ref().take(needed).collect() }
            };
            let inputs = Inputs::of(&parts.into_iter().map(part).collect::<Vec<_>>());
            if let Ok(logits) = inputs.run(&mut context) {
                computed += 1;
                assert!(logits.iter().flatten().all(|logit| logit.is_finite()), "{:?}", inputs.0[IDS]);
            }
            assert!(!context.is_dead());
        }
        assert!(computed > 30, "{computed} steps passed");
    }
}
