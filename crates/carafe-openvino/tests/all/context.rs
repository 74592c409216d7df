//! Contexts of the tiny model, computed by a real OpenVINO.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use crate::support::{Step, difference, ints, tiny};
use carafe_openvino::{Context, Error, ErrorKind, Graph, Profile};

const PROMPT: [i32; 6] = [17, 400, 3, 255, 96, 511];

fn started(graph: &Graph) -> Context {
    let mut context = graph.context().expect("a context");
    Step::dummy().run(&mut context).expect("the masked position computes");
    context
}

fn last(rows: &[Vec<f32>]) -> &[f32] {
    rows.last().expect("at least one row of logits")
}

/// The prompt's last logits, computed in pieces that end before each of `cuts`.
fn in_pieces(graph: &Graph, cuts: &[usize]) -> Vec<f32> {
    let mut context = started(graph);
    let mut logits = Vec::new();
    for pair in [&[0], cuts, &[PROMPT.len()]].concat().windows(2) {
        let from = u32::try_from(pair[0]).expect("short");
        logits =
            Step::row(&PROMPT[pair[0]..pair[1]], from, from + 1, &[0]).run(&mut context).expect("a piece computes");
    }
    last(&logits).to_vec()
}

#[test]
fn a_context_keeps_its_state_between_computes() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let whole = in_pieces(&graph, &[]);
    let stepwise = in_pieces(&graph, &[1, 2, 3, 4, 5]);
    assert!(difference(&whole, &stepwise) < 1e-4, "{}", difference(&whole, &stepwise));

    let mut without = started(&graph);
    let alone = Step::row(&PROMPT[5..], 5, 1, &[0]).run(&mut without).expect("a token computes");
    assert!(difference(&whole, last(&alone)) > 1e-2, "the tokens before must matter");
}

#[test]
fn a_new_context_starts_fresh() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let first = in_pieces(&graph, &[]);
    assert_eq!(first, in_pieces(&graph, &[]));
    assert_eq!(graph.context().expect("a context").state().past, 0);
}

#[test]
fn two_contexts_of_one_graph_do_not_see_each_other() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let alone = in_pieces(&graph, &[3]);

    let (mut one, mut other) = (started(&graph), started(&graph));
    Step::row(&PROMPT[..3], 0, 1, &[0]).run(&mut one).expect("computes");
    Step::row(&[9, 9, 9, 9], 0, 1, &[0]).run(&mut other).expect("computes");
    let logits = Step::row(&PROMPT[3..], 3, 4, &[0]).run(&mut one).expect("computes");
    assert_eq!(alone, last(&logits));
    assert_eq!((one.state().past, other.state().past), (7, 5));
}

#[test]
fn contexts_compute_on_several_threads_at_once() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let alone = in_pieces(&graph, &[2]);
    let results: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| in_pieces(&graph, &[2]))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(results.iter().all(|logits| *logits == alone));
}

#[test]
fn beam_idx_forks_and_reorders_the_kept_rows() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let mut context = started(&graph);
    // One row becomes two, which then go on with different tokens.
    Step::row(&PROMPT[..4], 0, 1, &[0]).run(&mut context).expect("computes");
    let mask = [0, 1, 1, 1, 1, 1];
    let forked = Step(vec![
        ("input_ids", ints(&[2, 1], &[PROMPT[4], 7])),
        ("position_ids", ints(&[2, 1], &[4, 4])),
        ("attention_mask", ints(&[2, 6], &mask.repeat(2))),
        ("beam_idx", ints(&[2], &[0, 0])),
        ("logit_idx", ints(&[1], &[0])),
    ]);
    forked.run(&mut context).expect("computes");
    assert_eq!(context.state().rows, Some(2));
    // The rows swap places, so that the prompt's own row is the second.
    let swapped = Step(vec![
        ("input_ids", ints(&[2, 1], &[7, PROMPT[5]])),
        ("position_ids", ints(&[2, 1], &[5, 5])),
        ("attention_mask", ints(&[2, 7], &[0, 1, 1, 1, 1, 1, 1].repeat(2))),
        ("beam_idx", ints(&[2], &[1, 0])),
        ("logit_idx", ints(&[1], &[1])),
    ]);
    let logits = swapped.run(&mut context).expect("computes");
    let error = difference(last(&logits), &in_pieces(&graph, &[]));
    assert!(error < 1e-4, "{error}");
}

#[test]
fn a_refused_tensor_leaves_the_context_as_it_was() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let mut context = started(&graph);
    Step::row(&PROMPT[..3], 0, 1, &[0]).run(&mut context).expect("computes");
    let before = *context.state();
    let next = Step::row(&PROMPT[3..], 3, 4, &[0]);
    let bad = [
        ("input_ids", ints(&[1, 3], &[1, 2, 512])),
        ("input_ids", ints(&[1, 3], &[1, -1, 2])),
        ("position_ids", ints(&[1, 3], &[3, 4, 64])),
        ("attention_mask", ints(&[1, 6], &[1; 6])),
        ("attention_mask", ints(&[1, 7], &[0, 1, 1, 1, 2, 1, 1])),
        ("beam_idx", ints(&[1], &[1])),
        ("beam_idx", ints(&[1], &[i32::MIN])),
        ("logit_idx", ints(&[1], &[i32::MAX])),
    ];
    for (name, tensor) in bad {
        let refused = next.clone().with(name, tensor).run(&mut context).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        assert!(refused.to_string().contains(name), "{refused}");
        assert_eq!(*context.state(), before);
    }
    let logits = next.run(&mut context).expect("the context still works");
    assert_eq!(last(&logits), in_pieces(&graph, &[3]));
}

#[test]
fn in_fast_logits_depend_little_on_how_the_prompt_is_cut() {
    let Some(graph) = tiny(Profile::Fast) else { return };
    // On some processors they are the same bits; the logits of this model go to about 3.
    let whole = in_pieces(&graph, &[]);
    for cuts in [&[1][..], &[3], &[5], &[1, 2, 3, 4, 5]] {
        let error = difference(&whole, &in_pieces(&graph, cuts));
        assert!(error < 0.1, "cut before {cuts:?}: {error}");
    }
}

#[test]
fn a_longer_step_than_the_bound_is_too_large() {
    let Some(graph) = tiny(Profile::Exact) else { return };
    let mut context = started(&graph);
    let refused = Step::row(&[1; 33], 0, 1, &[0]).run(&mut context).expect_err("refused");
    assert!(matches!(refused, Error::TooLarge { limit: 32, got: 33, .. }), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
}
