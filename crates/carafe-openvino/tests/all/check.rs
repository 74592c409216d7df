//! The rules for tensors whatever their values, one by one: what breaks each, and in which words it
//! is refused. No OpenVINO here.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use carafe_openvino::{
    ClassifierSpec, DecoderSpec, ElementType, Error, GraphKind, Tensor, TensorSpec, TensorView, check,
};
use carafe_tensor::{Dim, Role};
use proptest::prelude::*;

use crate::support::{Inputs, NAMES, Part, VOCABULARY, decoder, views};

/// A right step of two sequences.
fn step() -> Vec<(&'static str, Tensor)> {
    let part = |past, tokens: &[i32], block| Part { past, tokens: tokens.to_vec(), blocks: vec![block] };
    Inputs::of(&[part(0, &[1, 2, 3], 0), part(4, &[9], 1)]).tensors()
}

fn refusal(inputs: &[(&str, TensorView<'_>)]) -> Error {
    check(&decoder(VOCABULARY), inputs).expect_err("refused")
}

/// The words in which the step is refused with one tensor replaced.
fn refused_with(name: &str, tensor: &Tensor) -> String {
    let step = step();
    let replaced = |(known, old)| if known == name { (known, tensor.view()) } else { (known, old) };
    refusal(&views(&step).into_iter().map(replaced).collect::<Vec<_>>()).to_string()
}

#[test]
fn a_right_step_passes_in_any_order_of_its_tensors() {
    let step = step();
    let mut reversed = views(&step);
    reversed.reverse();
    let checked = check(&decoder(VOCABULARY), &reversed).expect("passes");
    assert!(checked.into_iter().eq(step.iter().map(|(_, tensor)| tensor.view())));
}

#[test]
fn types_ranks_empty_dimensions_and_lengths_are_refused() {
    let raw = |dims: &[u32], element, length| Tensor { dims: dims.to_vec(), element, data: vec![0; length] };
    let int = ElementType::I32;
    let cases = [
        (raw(&[4], ElementType::F32, 16), "input `input_ids` is f32, expected i32"),
        (raw(&[4], ElementType::U8, 4), "input `input_ids` is u8, expected i32"),
        (raw(&[2, 2], int, 16), "input `input_ids` has 2 dimensions, expected 1"),
        (raw(&[], int, 4), "input `input_ids` has 0 dimensions, expected 1"),
        (raw(&[0], int, 0), "input `input_ids` has size 0 in dimension 0, expected at least 1"),
        (raw(&[4], int, 15), "input `input_ids` has 15 bytes, its dimensions need 16"),
        (raw(&[4], int, 64), "input `input_ids` has 64 bytes, its dimensions need 16"),
        (raw(&[4], int, 0), "input `input_ids` has 0 bytes, its dimensions need 16"),
        (raw(&[u32::MAX], int, 16), "input `input_ids` has 16 bytes, its dimensions need 17179869180"),
    ];
    for (tensor, expected) in cases {
        assert_eq!(refused_with("input_ids", &tensor), expected);
    }
    let scalar = refused_with("max_context_len", &raw(&[1], int, 4));
    assert_eq!(scalar, "input `max_context_len` has 1 dimensions, expected 0");
}

#[test]
fn unknown_repeated_and_missing_inputs_are_refused() {
    let step = step();
    let views = views(&step);
    let with = |name| [&views[..], &[(name, views[0].1)]].concat();
    let known = NAMES.map(|name| format!("`{name}`")).join(", ");
    assert_eq!(refusal(&with("ids")).to_string(), format!("unknown input `ids`, expected {known}"));
    assert_eq!(refusal(&with("key_cache.0")).to_string(), format!("unknown input `key_cache.0`, expected {known}"));
    assert_eq!(refusal(&with("input_ids")).to_string(), "input `input_ids` is given twice");
    assert_eq!(refusal(&views[..7]).to_string(), "input `logit_idx` is missing");
    assert_eq!(refusal(&[]).to_string(), "input `input_ids` is missing");
}

#[test]
fn a_foreign_name_is_shown_short_and_printable() {
    let step = step();
    let name = format!("input_ids\0\u{1b}[31m{}", "x".repeat(1 << 20));
    let refused = refusal(&[(name.as_str(), step[0].1.view())]).to_string();
    assert!(refused.starts_with("unknown input `input_ids\\0\\u{1b}[31mxxx"), "{refused}");
    assert!(refused.contains('…') && refused.len() < 400 && !refused.contains('\0'), "{refused}");
}

fn classifier(sizes: &[u32]) -> GraphKind {
    let tensor = |name: &str, role, sizes: &[u32]| TensorSpec {
        name: name.to_owned(),
        role,
        element: ElementType::U8,
        shape: sizes.iter().map(|&size| Dim::Fixed(size)).collect(),
    };
    let (input, output) = (tensor("pixels", Role::Pixels, sizes), tensor("scores", Role::Scores, &[1, 9]));
    GraphKind::Classifier(ClassifierSpec { input, output })
}

#[test]
fn an_image_takes_exactly_its_fixed_size() {
    let given = |dims: &[u32]| {
        let data = vec![0; dims.iter().product::<u32>() as usize];
        let view = TensorView { dims, element: ElementType::U8, data: &data };
        check(&classifier(&[1, 2, 2, 3]), &[("pixels", view)]).map(|checked| checked.len())
    };
    assert_eq!(given(&[1, 2, 2, 3]).expect("passes"), 1);
    let refused = given(&[1, 2, 3, 2]).expect_err("refused").to_string();
    assert_eq!(refused, "input `pixels` has size 3 in dimension 2, expected 2 (fixed)");
    let refused = given(&[u32::MAX, 0, u32::MAX, u32::MAX]).expect_err("refused").to_string();
    assert_eq!(refused, "input `pixels` has size 0 in dimension 1, expected at least 1");
}

#[test]
fn a_description_that_contradicts_itself_is_refused() {
    let spec = DecoderSpec {
        vocabulary_size: 9,
        context_length: 8,
        max_num_seqs: 4,
        max_num_batched_tokens: 64,
        max_num_logits: 0,
    };
    let mut wrong = vec![(GraphKind::Decoder(spec), "the decoder's `max_num_logits` is 0, expected 1 to 2147483646")];
    let GraphKind::Classifier(image) = classifier(&[1, 2]) else { return };
    let input = |change: &dyn Fn(&mut TensorSpec)| {
        let mut image = image.clone();
        change(&mut image.input);
        GraphKind::Classifier(image)
    };
    wrong.push((input(&|input| input.role = Role::Scores), "`pixels` has the role scores, expected pixels"));
    wrong.push((input(&|input| input.name.clear()), "the name of the classifier's pixels is empty or holds a NUL"));
    wrong.push((
        input(&|input| input.shape[0] = Dim::Fixed(0)),
        "`pixels` is u8 [0,2], expected fixed sizes of at least 1 and at most 2 GiB in all",
    ));
    for (kind, reason) in wrong {
        let refused = kind.check().expect_err("refused");
        assert_eq!(refused.to_string(), format!("the graph's description is wrong: {reason}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What passes has every input once, of its type and rank, with as many bytes as its dimensions
    /// need.
    #[test]
    fn no_tensors_at_all_can_make_it_panic(
        damages in prop::collection::vec(
            (
                0..8_usize,
                prop::option::of(prop_oneof![3 => prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned), 1 => ".*"]),
                prop::option::of(prop::collection::vec(prop_oneof![any::<u32>(), 0..6_u32], 0..4)),
                prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            ),
            0..3,
        ),
    ) {
        let mut inputs: Vec<(String, Tensor)> = step().into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        for (which, name, dims, data) in damages {
            let (old_name, tensor) = &mut inputs[which];
            *old_name = name.unwrap_or_else(|| old_name.clone());
            tensor.dims = dims.unwrap_or_else(|| tensor.dims.clone());
            tensor.data = data.unwrap_or_else(|| tensor.data.clone());
        }
        let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let right = NAMES.iter().all(|name| {
            let mut named = inputs.iter().filter(|(known, _)| known == name);
            let (Some((_, tensor)), None) = (named.next(), named.next()) else { return false };
            let elements: u128 = tensor.dims.iter().map(|&size| u128::from(size)).product();
            let rank = usize::from(*name != "max_context_len");
            tensor.dims.len() == rank && elements > 0 && elements * 4 == tensor.data.len() as u128
        });
        prop_assert_eq!(check(&decoder(VOCABULARY), &views).is_ok(), right);
    }
}
