//! The rules, one by one: what breaks each, and in which words it is refused. No OpenVINO here.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use carafe_openvino::{
    Bounds, ContextState, Dim, ElementType, Error, ErrorKind, GraphSpec, Role, Sizes, Tensor, TensorSpec, TensorView,
    check,
};

use crate::support::{Step, VOCABULARY, ints, text_spec};

/// A context after a step of three rows, ten positions in all.
const RUNNING: ContextState = ContextState { rows: Some(3), past: 10, dead: false };

/// Two rows of two positions that continue [`RUNNING`].
fn step() -> Step {
    Step(vec![
        ("input_ids", ints(&[2, 2], &[0, 511, 7, 8])),
        ("position_ids", ints(&[2, 2], &[9, 10, 62, 63])),
        ("attention_mask", ints(&[2, 12], &[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1].repeat(2))),
        ("beam_idx", ints(&[2], &[2, 0])),
        ("logit_idx", ints(&[3], &[3, 0, 3])),
    ])
}

fn refusal(state: &ContextState, inputs: &[(&str, TensorView<'_>)]) -> Error {
    check(&text_spec(VOCABULARY), state, inputs).expect_err("refused")
}

/// The words in which the step is refused with one tensor replaced.
fn refused_with(name: &str, tensor: Tensor) -> String {
    refusal(&RUNNING, &step().with(name, tensor).views()).to_string()
}

#[test]
fn a_step_that_keeps_every_rule_passes_in_any_order_of_its_tensors() {
    let spec = text_spec(VOCABULARY);
    let step = step();
    let mut views = step.views();
    views.reverse();
    let checked = check(&spec, &RUNNING, &views).expect("passes");
    assert_eq!(checked.sizes, Sizes { batch: 2, step: 2, total: 12, logits: 3 });
    assert_eq!(checked.next, ContextState { rows: Some(2), past: 12, dead: false });
    let ordered: Vec<TensorView<'_>> = step.0.iter().map(|(_, tensor)| tensor.view()).collect();
    assert_eq!(checked.tensors, ordered);
}

#[test]
fn a_first_step_may_pick_any_of_its_own_rows() {
    let first = Step(vec![
        ("input_ids", ints(&[2, 1], &[0, 0])),
        ("position_ids", ints(&[2, 1], &[0, 0])),
        ("attention_mask", ints(&[2, 1], &[0, 0])),
        ("beam_idx", ints(&[2], &[1, 1])),
        ("logit_idx", ints(&[1], &[0])),
    ]);
    let fresh = ContextState::default();
    check(&text_spec(VOCABULARY), &fresh, &first.views()).expect("passes");
    let refused = refusal(&fresh, &first.with("beam_idx", ints(&[2], &[0, 2])).views());
    assert_eq!(refused.to_string(), "input `beam_idx` holds 2 at element 1, expected 0 to 1");
}

#[test]
fn each_bad_index_is_refused_by_its_value_and_place() {
    let extremes = [-1, i32::MIN, i32::MAX];
    let limits: [(&str, &[u32], i32); 4] =
        [("input_ids", &[2, 2], 511), ("position_ids", &[2, 2], 63), ("beam_idx", &[2], 2), ("logit_idx", &[3], 3)];
    for (name, dims, largest) in limits {
        let length = dims.iter().product::<u32>() as usize;
        for value in extremes.into_iter().chain([largest + 1]) {
            let mut values = vec![0; length];
            values[length - 1] = value;
            let expected = format!("input `{name}` holds {value} at element {}, expected 0 to {largest}", length - 1);
            assert_eq!(refused_with(name, ints(dims, &values)), expected);
        }
        let accepted = step().with(name, ints(dims, &vec![largest; length]));
        check(&text_spec(VOCABULARY), &RUNNING, &accepted.views()).expect("the largest value passes");
    }
}

#[test]
fn a_mask_holds_only_0_and_1() {
    for value in [2, -1, i32::MIN, i32::MAX, 256] {
        let mut values = vec![1; 24];
        values[13] = value;
        let expected = format!("input `attention_mask` holds {value} at element 13, expected 0 to 1");
        assert_eq!(refused_with("attention_mask", ints(&[2, 12], &values)), expected);
    }
}

#[test]
fn a_mask_of_the_wrong_width_is_refused() {
    for width in [1, 2, 10, 11, 13, 24] {
        let expected = format!("input `attention_mask` has size {width} in dimension 1, expected 12 (P+S)");
        assert_eq!(refused_with("attention_mask", ints(&[2, width], &vec![1; 2 * width as usize])), expected);
    }
}

#[test]
fn dimensions_that_disagree_between_inputs_are_refused() {
    let cases = [
        ("position_ids", ints(&[1, 2], &[0; 2]), "input `position_ids` has size 1 in dimension 0, expected 2 (B)"),
        ("position_ids", ints(&[2, 3], &[0; 6]), "input `position_ids` has size 3 in dimension 1, expected 2 (S)"),
        (
            "attention_mask",
            ints(&[3, 12], &[1; 36]),
            "input `attention_mask` has size 3 in dimension 0, expected 2 (B)",
        ),
        ("beam_idx", ints(&[3], &[0; 3]), "input `beam_idx` has size 3 in dimension 0, expected 2 (B)"),
    ];
    for (name, tensor, expected) in cases {
        assert_eq!(refused_with(name, tensor), expected);
    }
}

#[test]
fn types_ranks_empty_dimensions_and_lengths_are_refused() {
    let raw = |dims: &[u32], element, length| Tensor { dims: dims.to_vec(), element, data: vec![0; length] };
    let int = ElementType::I32;
    let cases = [
        (raw(&[2, 2], ElementType::F32, 16), "input `input_ids` is f32, expected i32"),
        (raw(&[2, 2], ElementType::U8, 4), "input `input_ids` is u8, expected i32"),
        (raw(&[4], int, 16), "input `input_ids` has 1 dimensions, expected 2"),
        (raw(&[2, 2, 1], int, 16), "input `input_ids` has 3 dimensions, expected 2"),
        (raw(&[], int, 4), "input `input_ids` has 0 dimensions, expected 2"),
        (raw(&[0, 2], int, 0), "input `input_ids` has size 0 in dimension 0, expected at least 1"),
        (raw(&[2, 0], int, 0), "input `input_ids` has size 0 in dimension 1, expected at least 1"),
        (raw(&[2, 2], int, 15), "input `input_ids` has 15 bytes, its dimensions need 16"),
        (raw(&[2, 2], int, 64), "input `input_ids` has 64 bytes, its dimensions need 16"),
        (raw(&[2, 2], int, 0), "input `input_ids` has 0 bytes, its dimensions need 16"),
        (raw(&[u32::MAX, 1], int, 16), "input `input_ids` has 16 bytes, its dimensions need 17179869180"),
        (raw(&[u32::MAX; 2], int, 16), "the dimensions of input `input_ids` multiply to more than 64 bits hold"),
    ];
    for (tensor, expected) in cases {
        assert_eq!(refused_with("input_ids", tensor), expected);
    }
}

#[test]
fn unknown_repeated_and_missing_inputs_are_refused() {
    let step = step();
    let views = step.views();
    let with = |name| [&views[..], &[(name, views[0].1)]].concat();
    let known = "`input_ids`, `position_ids`, `attention_mask`, `beam_idx`, `logit_idx`";
    assert_eq!(refusal(&RUNNING, &with("ids")).to_string(), format!("unknown input `ids`, expected {known}"));
    assert_eq!(refusal(&RUNNING, &with("input_ids")).to_string(), "input `input_ids` is given twice");
    assert_eq!(refusal(&RUNNING, &views[..4]).to_string(), "input `logit_idx` is missing");
    assert_eq!(refusal(&RUNNING, &[]).to_string(), "input `input_ids` is missing");
}

#[test]
fn a_foreign_name_is_shown_short_and_printable() {
    let step = step();
    let name = format!("input_ids\0\u{1b}[31m{}", "x".repeat(1 << 20));
    let refused = refusal(&RUNNING, &[(name.as_str(), step.views()[0].1)]).to_string();
    assert!(refused.starts_with("unknown input `input_ids\\0\\u{1b}[31mxxx"), "{refused}");
    assert!(refused.contains('…') && refused.len() < 300 && !refused.contains('\0'), "{refused}");
}

#[test]
fn more_than_a_bound_is_too_large() {
    let rows = |batch: u32, length: u32, past: u32, logits: u32| {
        let (new, kept) = ((batch * length) as usize, (batch * (past + length)) as usize);
        let step = Step(vec![
            ("input_ids", ints(&[batch, length], &vec![0; new])),
            ("position_ids", ints(&[batch, length], &vec![0; new])),
            ("attention_mask", ints(&[batch, past + length], &vec![0; kept])),
            ("beam_idx", ints(&[batch], &vec![0; batch as usize])),
            ("logit_idx", ints(&[logits], &vec![0; logits as usize])),
        ]);
        let state = ContextState { rows: Some(1), past, dead: false };
        check(&text_spec(VOCABULARY), &state, &step.views()).map(|checked| checked.sizes)
    };
    rows(4, 32, 96, 32).expect("every bound is reached and none is passed");
    let cases = [
        (rows(5, 1, 1, 1), "a compute of 5 rows (B) passes the model's limit of 4"),
        (rows(1, 33, 1, 1), "a compute of 33 positions a row (S) passes the model's limit of 32"),
        (rows(2, 2, 1, 33), "a compute of 33 rows of logits (N) passes the model's limit of 32"),
        (rows(4, 1, 128, 1), "a compute of 516 kept positions (B*(P+S)) passes the model's limit of 512"),
    ];
    for (result, expected) in cases {
        let refused = result.expect_err("refused");
        assert_eq!((refused.to_string().as_str(), refused.kind()), (expected, ErrorKind::TooLarge));
    }
}

#[test]
fn a_past_near_its_end_does_not_wrap_around() {
    let state = ContextState { rows: Some(3), past: u32::MAX, dead: false };
    let refused = refusal(&state, &step().views());
    assert!(matches!(refused, Error::TooLarge { got: 8_589_934_594, .. }), "{refused}");
}

#[test]
fn a_dead_context_refuses_everything() {
    let refused = refusal(&ContextState { dead: true, ..RUNNING }, &step().views());
    assert!(matches!(refused, Error::DeadContext), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Runtime);
}

#[test]
fn values_are_read_at_any_alignment() {
    let spec = text_spec(VOCABULARY);
    let step = step();
    for shift in 0..4 {
        let shifted: Vec<Vec<u8>> =
            step.0.iter().map(|(_, tensor)| [&[9; 3][..shift], &tensor.data].concat()).collect();
        let views: Vec<(&str, TensorView<'_>)> = step
            .views()
            .into_iter()
            .zip(&shifted)
            .map(|((name, view), data)| (name, TensorView { data: &data[shift..], ..view }))
            .collect();
        check(&spec, &RUNNING, &views).expect("passes");
    }
}

#[test]
fn without_logit_idx_every_position_counts_as_a_row_of_logits() {
    let chosen = text_spec(VOCABULARY);
    let inputs = chosen.inputs()[..4].to_vec();
    let mut logits = chosen.outputs()[0].clone();
    logits.shape = vec![Dim::Batch, Dim::Step, Dim::Fixed(VOCABULARY)];
    let spec = GraphSpec::new(inputs, vec![logits], chosen.bounds().copied()).expect("the description is right");
    let step = step();
    let checked = check(&spec, &RUNNING, &step.views()[..4]).expect("passes");
    assert_eq!(checked.sizes.logits, 4);
}

#[test]
fn a_description_that_contradicts_itself_is_refused() {
    let right = text_spec(VOCABULARY);
    let bounds = *right.bounds().expect("a text graph");
    let text = |change: &dyn Fn(&mut Vec<TensorSpec>), bounds: Bounds| {
        let mut inputs = right.inputs().to_vec();
        change(&mut inputs);
        GraphSpec::new(inputs, right.outputs().to_vec(), Some(bounds)).expect_err("refused").to_string()
    };
    let cases = [
        (text(&|inputs| drop(inputs.remove(3)), bounds), "a text graph needs an input with the role BeamIdx"),
        (text(&|inputs| inputs[1].name = "input_ids".into(), bounds), "input `input_ids` repeats a name or a role"),
        (text(&|inputs| inputs[1].role = Role::InputIds, bounds), "input `position_ids` repeats a name or a role"),
        (text(&|inputs| inputs[0].name = "a\0b".into(), bounds), "input 0 has an empty name or one that holds a NUL"),
        (
            text(&|inputs| inputs[2].shape[1] = Dim::Step, bounds),
            "`attention_mask` with the role AttentionMask is i32 [B,S], expected i32 [B,P+S]",
        ),
        (
            text(&|inputs| inputs[0].element = ElementType::F32, bounds),
            "`input_ids` with the role InputIds is f32 [B,S], expected i32 [B,S]",
        ),
        (
            text(&|inputs| inputs[4].role = Role::Pixels, bounds),
            "the role Pixels of `logit_idx` is not one of a text graph's inputs",
        ),
        (text(&|_| (), Bounds { batch: 0, ..bounds }), "the bound `batch` is 0, expected 1 to 2147483647"),
        (
            text(&|_| (), Bounds { batch: 1 << 16, step: 1 << 16, ..bounds }),
            "the bound `batch * step` is 4294967296, expected 1 to 2147483647",
        ),
        (
            text(&|_| (), Bounds { vocabulary_size: 600, ..bounds }),
            "`logits` with the role Logits is f32 [N,512], expected f32 [N,600]",
        ),
    ];
    for (refused, expected) in cases {
        assert_eq!(refused, format!("the graph's description is wrong: {expected}"));
    }
}

#[test]
fn an_image_takes_exactly_its_fixed_size() {
    let tensor = |name: &str, role, sizes: &[u32]| TensorSpec {
        name: name.to_owned(),
        role,
        element: ElementType::U8,
        shape: sizes.iter().map(|&size| Dim::Fixed(size)).collect(),
    };
    let image = |sizes: &[u32]| {
        GraphSpec::new(vec![tensor("pixels", Role::Pixels, sizes)], vec![tensor("scores", Role::Scores, &[1, 9])], None)
    };
    let spec = image(&[1, 2, 2, 3]).expect("the description is right");
    let fresh = ContextState::default();
    let given = |dims: &[u32]| {
        let data = vec![0; dims.iter().product::<u32>() as usize];
        let view = TensorView { dims, element: ElementType::U8, data: &data };
        check(&spec, &fresh, &[("pixels", view)]).map(|checked| checked.next)
    };
    assert_eq!(given(&[1, 2, 2, 3]).expect("passes"), fresh);
    let refused = given(&[1, 2, 3, 2]).expect_err("refused").to_string();
    assert_eq!(refused, "input `pixels` has size 3 in dimension 2, expected 2 (fixed)");
    for sizes in [&[1, 0, 2, 3][..], &[1 << 16, 1 << 16, 1, 1], &[u32::MAX; 4]] {
        assert!(matches!(image(sizes), Err(Error::InvalidSpec { .. })), "{sizes:?}");
    }
}
