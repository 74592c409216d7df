//! The rules against random tensors: nothing panics, and what passes is exactly what a slow, naive model of the rules
//! lets pass, written here from the rules' own words and sharing no code with the checker.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use carafe_openvino::{ContextState, ElementType, Profile, Role, Tensor, TensorView, check};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::{CONTEXT, VOCABULARY, ints, text_spec, tiny};

type Inputs = Vec<(String, Tensor)>;

/// A step that keeps every rule for this state, before anything is done to it.
fn right_step(state: ContextState) -> impl Strategy<Value = Inputs> {
    (1..=4_u32, 1..=4_u32, 1..=6_u32).prop_flat_map(move |(batch, step, logits)| {
        let (new, total) = (batch * step, state.past + step);
        let values =
            |count: u32, limit: u32| prop::collection::vec((0..limit).prop_map(u32::cast_signed), count as usize);
        let rows = state.rows.unwrap_or(batch);
        let all = (
            values(new, VOCABULARY),
            values(new, CONTEXT),
            values(batch * total, 2),
            values(batch, rows),
            values(logits, new),
        );
        all.prop_map(move |(ids, positions, mask, beam, wanted)| {
            let tensors = [
                ("input_ids", ints(&[batch, step], &ids)),
                ("position_ids", ints(&[batch, step], &positions)),
                ("attention_mask", ints(&[batch, total], &mask)),
                ("beam_idx", ints(&[batch], &beam)),
                ("logit_idx", ints(&[logits], &wanted)),
            ];
            tensors.map(|(name, tensor)| (name.to_owned(), tensor)).to_vec()
        })
    })
}

/// One thing done to one of the tensors.
#[derive(Clone, Debug)]
enum Damage {
    Value(usize, i32),
    Dim(usize, u32),
    /// A dimension changed, and the bytes made to fit it.
    Resize(usize, u32),
    Rank(bool),
    Length(usize),
    Element(ElementType),
    Rename(String),
    Repeat,
    Drop,
}

fn damage() -> impl Strategy<Value = Damage> {
    let value = prop_oneof![any::<i32>(), -2..600_i32, Just(i32::MIN), Just(i32::MAX)];
    let dim = prop_oneof![any::<u32>(), 0..40_u32, Just(u32::MAX)];
    let element = prop_oneof![Just(ElementType::U8), Just(ElementType::F32), Just(ElementType::I32)];
    prop_oneof![
        4 => (any::<usize>(), value).prop_map(|(index, value)| Damage::Value(index, value)),
        2 => (any::<usize>(), dim).prop_map(|(axis, size)| Damage::Dim(axis, size)),
        2 => (any::<usize>(), 0..40_u32).prop_map(|(axis, size)| Damage::Resize(axis, size)),
        1 => any::<bool>().prop_map(Damage::Rank),
        1 => (0..200_usize).prop_map(Damage::Length),
        1 => element.prop_map(Damage::Element),
        1 => prop_oneof!["[a-z_]{0,12}", ".*", Just("beam_idx".to_owned())].prop_map(Damage::Rename),
        1 => Just(Damage::Repeat),
        1 => Just(Damage::Drop),
    ]
}

fn inflict(inputs: &mut Inputs, which: usize, damage: &Damage) {
    if inputs.is_empty() {
        return;
    }
    let which = which % inputs.len();
    let (name, tensor) = &mut inputs[which];
    match damage {
        Damage::Value(index, value) if tensor.data.len() >= 4 => {
            let at = index % (tensor.data.len() / 4) * 4;
            tensor.data[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        Damage::Dim(axis, size) | Damage::Resize(axis, size) if !tensor.dims.is_empty() => {
            let axis = axis % tensor.dims.len();
            tensor.dims[axis] = *size;
            let needed = tensor.element.bytes_of(&tensor.dims).and_then(|bytes| usize::try_from(bytes).ok());
            if let (Damage::Resize(..), Some(needed @ ..100_000)) = (damage, needed) {
                tensor.data.resize(needed, 0);
            }
        }
        Damage::Rank(true) => tensor.dims.push(1),
        Damage::Rank(false) => drop(tensor.dims.pop()),
        Damage::Length(length) => tensor.data.resize(*length, 0),
        Damage::Element(element) => tensor.element = *element,
        Damage::Rename(other) => name.clone_from(other),
        Damage::Repeat => inputs.push(inputs[which].clone()),
        Damage::Drop => drop(inputs.remove(which)),
        Damage::Value(..) | Damage::Dim(..) | Damage::Resize(..) => (),
    }
}

fn states() -> impl Strategy<Value = ContextState> {
    let running = (1..=4_u32, 1..=140_u32, prop::bool::weighted(0.05));
    prop_oneof![
        1 => Just(ContextState::default()),
        3 => running.prop_map(|(rows, past, dead)| ContextState { rows: Some(rows), past, dead }),
    ]
}

fn views(inputs: &Inputs) -> Vec<(&str, TensorView<'_>)> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
}

/// A tensor as the slow model reads it.
struct Read {
    role: Role,
    dims: Vec<i128>,
    values: Vec<i128>,
}

/// The five tensors, where names, types, ranks and lengths are right.
fn well_formed(inputs: &Inputs) -> Option<Vec<Read>> {
    let expected = [
        ("input_ids", Role::InputIds, 2),
        ("position_ids", Role::PositionIds, 2),
        ("attention_mask", Role::AttentionMask, 2),
        ("beam_idx", Role::BeamIdx, 1),
        ("logit_idx", Role::LogitIdx, 1),
    ];
    if inputs.len() != expected.len() {
        return None;
    }
    let mut all = Vec::new();
    for (name, role, rank) in expected {
        let (_, tensor) = inputs.iter().find(|(given, _)| given == name)?;
        let dims: Vec<i128> = tensor.dims.iter().map(|&size| i128::from(size)).collect();
        let elements: i128 = dims.iter().product();
        let length = tensor.data.len() as i128;
        if tensor.element != ElementType::I32 || dims.len() != rank || elements == 0 || elements * 4 != length {
            return None;
        }
        let mut values = Vec::new();
        for at in (0..tensor.data.len()).step_by(4) {
            let unsigned = (0..4).map(|byte| i128::from(tensor.data[at + byte]) << (8 * byte)).sum::<i128>();
            values.push(if unsigned >= 1 << 31 { unsigned - (1 << 32) } else { unsigned });
        }
        all.push(Read { role, dims, values });
    }
    Some(all)
}

/// Whether the step keeps every rule, slowly.
fn is_right(state: ContextState, inputs: &Inputs) -> bool {
    let Some(tensors) = well_formed(inputs) else { return false };
    let (batch, step) = (tensors[0].dims[0], tensors[0].dims[1]);
    let (total, wanted) = (i128::from(state.past) + step, tensors[4].dims[0]);
    let rows = state.rows.map_or(batch, i128::from);
    let bounded = batch <= 4 && step <= 32 && wanted <= 32 && batch * total <= 512;
    let each = tensors.iter().all(|Read { role, dims, values }| {
        let (expected, limit) = match role {
            Role::InputIds => (vec![batch, step], i128::from(VOCABULARY)),
            Role::PositionIds => (vec![batch, step], i128::from(CONTEXT)),
            Role::AttentionMask => (vec![batch, total], 2),
            Role::BeamIdx => (vec![batch], rows),
            _ => (vec![wanted], batch * step),
        };
        *dims == expected && values.iter().all(|&value| 0 <= value && value < limit)
    });
    !state.dead && bounded && each
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_exactly_what_keeps_every_rule(
        (state, mut inputs) in states().prop_flat_map(|state| (Just(state), right_step(state))),
        damages in prop::collection::vec((any::<usize>(), damage()), 0..3),
    ) {
        for (which, damage) in &damages {
            inflict(&mut inputs, *which, damage);
        }
        let spec = text_spec(VOCABULARY);
        let result = check(&spec, &state, &views(&inputs));
        prop_assert_eq!(result.is_ok(), is_right(state, &inputs), "{:?}", result.err());
        if let Ok(checked) = result {
            prop_assert_eq!(checked.next.past, state.past + checked.sizes.step);
            prop_assert_eq!(checked.next.rows, Some(checked.sizes.batch));
            for (expected, tensor) in spec.inputs().iter().zip(checked.tensors) {
                let given = inputs.iter().find(|(name, _)| *name == expected.name);
                prop_assert_eq!(given.map(|(_, tensor)| tensor.view()), Some(tensor));
            }
        }
    }

    #[test]
    fn no_tensors_at_all_can_make_it_panic(
        state in (any::<Option<u32>>(), any::<u32>(), any::<bool>()),
        inputs in prop::collection::vec(
            (
                prop_oneof![4 => "input_ids|position_ids|attention_mask|beam_idx|logit_idx", 1 => ".*"],
                prop::collection::vec(prop_oneof![any::<u32>(), 0..6_u32], 0..4),
                prop::collection::vec(any::<u8>(), 0..80),
            ),
            0..8,
        ),
    ) {
        let (rows, past, dead) = state;
        let state = ContextState { rows, past, dead };
        let inputs: Inputs = inputs.into_iter()
            .map(|(name, dims, data)| (name, Tensor { dims, element: ElementType::I32, data }))
            .collect();
        let result = check(&text_spec(VOCABULARY), &state, &views(&inputs));
        prop_assert_eq!(result.is_ok(), is_right(state, &inputs));
    }
}

/// What the rules are for: whatever passes them, OpenVINO computes it, and neither fails, aborts nor reads elsewhere.
#[test]
fn every_random_step_that_passes_is_computed_to_finite_logits() {
    for profile in [Profile::Fast, Profile::Latency, Profile::Exact] {
        let Some(graph) = tiny(profile) else { return };
        let mut runner = TestRunner::deterministic();
        for _ in 0..12 {
            let mut context = graph.context().expect("a context");
            for _ in 0..16 {
                let step = right_step(*context.state()).new_tree(&mut runner).expect("a step").current();
                let outputs = context.compute(&views(&step)).expect("computes");
                let wanted = step[4].1.dims[0] as usize;
                assert_eq!(outputs[0].1.view().f32_values().len(), wanted * VOCABULARY as usize);
                assert!(outputs[0].1.view().f32_values().all(f32::is_finite));
            }
        }
    }
}
