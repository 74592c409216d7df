//! The KV cache in blocks: the rules for a step against a naive model of them, and the real thing against the stateful graph.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use carafe_openvino::paged::{PagedBounds, PagedContext, PagedGraph, PagedInputs, WrittenBlocks, check_inputs};
use carafe_openvino::{Error, ErrorKind, Options, Profile};
use proptest::prelude::*;

use crate::support::{CONTEXT, Step, VOCABULARY, difference, files_in, root, runtime, text_spec, tiny};

const BLOCKS: u32 = 6;

fn bounds(block_size: u32) -> PagedBounds {
    PagedBounds {
        max_num_batched_tokens: 64,
        max_num_seqs: 4,
        max_num_logits: 16,
        block_size,
        vocabulary_size: VOCABULARY,
        context_length: CONTEXT,
    }
}

/// One sequence's part of a step.
#[derive(Clone, Debug)]
struct Part {
    past: i32,
    tokens: Vec<i32>,
    blocks: Vec<i32>,
}

/// The inputs of a step as numbers.
#[derive(Clone, Debug)]
struct Inputs {
    tensors: [Vec<i32>; 7],
    max_context_len: i32,
}

/// Places in [`Inputs::tensors`].
const IDS: usize = 0;
const POSITIONS: usize = 1;
const PAST: usize = 2;
const BEGINS: usize = 3;
const BLOCK_INDICES: usize = 4;
const BLOCK_BEGINS: usize = 5;
const LOGITS: usize = 6;

impl Inputs {
    /// A step over these sequences that wants the logits of each one's last token.
    fn of(parts: &[Part]) -> Self {
        let mut tensors: [Vec<i32>; 7] = Default::default();
        (tensors[BEGINS], tensors[BLOCK_BEGINS]) = (vec![0], vec![0]);
        let length = |values: &[i32]| i32::try_from(values.len()).expect("short");
        let mut longest = 0;
        for part in parts {
            let total = part.past + length(&part.tokens);
            longest = longest.max(total);
            tensors[IDS].extend(&part.tokens);
            tensors[POSITIONS].extend(part.past..total);
            tensors[PAST].push(part.past);
            let end = length(&tensors[IDS]);
            tensors[BEGINS].push(end);
            tensors[BLOCK_INDICES].extend(&part.blocks);
            let end_of_blocks = length(&tensors[BLOCK_INDICES]);
            tensors[BLOCK_BEGINS].push(end_of_blocks);
            tensors[LOGITS].push(end - 1);
        }
        Self { tensors, max_context_len: longest }
    }

    /// Calls with the inputs as bytes.
    fn with<T>(&self, call: impl FnOnce(&PagedInputs<'_>) -> T) -> T {
        let bytes = self.tensors.each_ref().map(|values| values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        call(&PagedInputs {
            input_ids: &bytes[IDS],
            position_ids: &bytes[POSITIONS],
            past_lens: &bytes[PAST],
            subsequence_begins: &bytes[BEGINS],
            block_indices: &bytes[BLOCK_INDICES],
            block_indices_begins: &bytes[BLOCK_BEGINS],
            max_context_len: self.max_context_len.to_le_bytes(),
            logit_idx: &bytes[LOGITS],
        })
    }

    fn check(&self, block_size: u32, written: &WrittenBlocks) -> Result<(), Error> {
        self.with(|inputs| check_inputs(&bounds(block_size), written, inputs).map(drop))
    }

    /// The rules in their own words, slowly: what may be read is `written`, per block.
    fn keeps_the_rules(&self, size: i128, written: &[i128]) -> bool {
        let [ids, positions, past, begins, blocks, block_begins, logits] =
            self.tensors.each_ref().map(|values| values.iter().map(|&value| i128::from(value)).collect::<Vec<_>>());
        let all = |values: &[i128], limit: i128| values.iter().all(|value| (0..limit).contains(value));
        let (tokens, sequences) = (ids.len() as i128, past.len());
        let sizes = (1..=64).contains(&ids.len())
            && (1..=4).contains(&sequences)
            && (1..=16).contains(&logits.len())
            && positions.len() == ids.len()
            && begins.len() == sequences + 1
            && block_begins.len() == sequences + 1;
        let rises = |begins: &[i128], total: usize| {
            begins[0] == 0 && begins.is_sorted_by(|a, b| a < b) && begins[begins.len() - 1] == total as i128
        };
        if !sizes
            || !all(&ids, VOCABULARY.into())
            || !all(&positions, CONTEXT.into())
            || !all(&past, CONTEXT.into())
            || !all(&blocks, BLOCKS.into())
            || !all(&logits, tokens)
            || !rises(&begins, ids.len())
            || !rises(&block_begins, blocks.len())
        {
            return false;
        }
        let mut writers = Vec::new();
        let mut readers = BTreeSet::new();
        let mut longest = 0;
        for sequence in 0..sequences {
            let total = past[sequence] + begins[sequence + 1] - begins[sequence];
            longest = longest.max(total);
            let own = &blocks[block_begins[sequence] as usize..block_begins[sequence + 1] as usize];
            if total > i128::from(CONTEXT) || own.len() as i128 != (total + size - 1) / size {
                return false;
            }
            for position in 0..total {
                let (block, place) = (own[(position / size) as usize], position % size);
                if position >= past[sequence] {
                    writers.push((sequence, position / size, block));
                } else if place >= written[block as usize] {
                    return false;
                } else {
                    readers.insert((sequence, position / size, block));
                }
            }
        }
        writers.dedup();
        let named_once = |&(sequence, place, block): &(usize, i128, i128)| {
            let same = |other: &&(usize, i128, i128)| other.2 == block && (other.0, other.1) != (sequence, place);
            writers.iter().filter(same).count() + readers.iter().filter(same).count() == 0
        };
        i128::from(self.max_context_len) == longest && writers.iter().all(named_once)
    }
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = (0..9_i32, prop::collection::vec(0..512_i32, 1..7), prop::collection::vec(0..6_i32, 4));
    prop::collection::vec(part, 1..4).prop_map(|parts| {
        let part = |(past, tokens, blocks): (i32, Vec<i32>, Vec<i32>)| {
            let needed = (past as usize + tokens.len()).div_ceil(4);
            Part { past, blocks: blocks.into_iter().take(needed).collect(), tokens }
        };
        parts.into_iter().map(part).collect()
    })
}

/// One number changed, put in or taken out.
fn damage() -> impl Strategy<Value = (usize, usize, Option<i32>, bool)> {
    let value = prop_oneof![-2..70_i32, any::<i32>(), Just(i32::MAX), Just(i32::MIN)];
    (0..8_usize, any::<usize>(), prop::option::weighted(0.8, value), any::<bool>())
}

fn inflict(inputs: &mut Inputs, (which, place, value, insert): (usize, usize, Option<i32>, bool)) {
    let Some(values) = inputs.tensors.get_mut(which) else {
        inputs.max_context_len = value.unwrap_or_default();
        return;
    };
    let place = place % (values.len() + 1);
    match value {
        Some(value) if insert || place == values.len() => values.insert(place, value),
        Some(value) => values[place] = value,
        None if place < values.len() => drop(values.remove(place)),
        None => values.clear(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_what_the_rules_let_pass_and_nothing_panics(
        steps in prop::collection::vec((parts(), prop::option::weighted(0.3, damage())), 1..12),
    ) {
        let mut written = WrittenBlocks::new(BLOCKS);
        let mut model = [0_i128; BLOCKS as usize];
        for (parts, damage) in steps {
            let mut inputs = Inputs::of(&parts);
            if let Some(damage) = damage {
                inflict(&mut inputs, damage);
            }
            let right = inputs.keeps_the_rules(4, &model);
            let checked = inputs.with(|inputs| check_inputs(&bounds(4), &written, inputs));
            prop_assert_eq!(checked.is_ok(), right, "{:?}: {:?}", inputs, checked);
            if let Ok(checked) = checked {
                written.apply(&checked);
                note_writes(&inputs, &mut model);
            }
        }
    }
}

/// Notes in the naive model what a right step has written.
fn note_writes(inputs: &Inputs, model: &mut [i128]) {
    let [ids, _, past, begins, blocks, block_begins, _] = &inputs.tensors;
    assert!(!ids.is_empty());
    for sequence in 0..past.len() {
        let total = past[sequence] + begins[sequence + 1] - begins[sequence];
        for position in past[sequence]..total {
            let block = blocks[(block_begins[sequence] + position / 4) as usize] as usize;
            model[block] = model[block].max(i128::from(position % 4) + 1);
        }
    }
}

#[test]
fn each_violation_is_refused_in_words() {
    let mut written = WrittenBlocks::new(BLOCKS);
    let first = Inputs::of(&[Part { past: 0, tokens: vec![1, 2, 3, 4, 5], blocks: vec![2, 0] }]);
    let checked = first.with(|inputs| check_inputs(&bounds(4), &written, inputs)).expect("right");
    written.apply(&checked);
    let next = || {
        vec![Part { past: 5, tokens: vec![6], blocks: vec![2, 0] }, Part { past: 0, tokens: vec![7], blocks: vec![1] }]
    };
    Inputs::of(&next()).check(4, &written).expect("right");
    let mut cases: Vec<(Inputs, &str)> = Vec::new();
    let mut case = |words, change: &dyn Fn(&mut Inputs)| {
        let mut inputs = Inputs::of(&next());
        change(&mut inputs);
        cases.push((inputs, words));
    };
    case("input `block_indices` holds 6 at element 1, expected 0 to 5", &|i| i.tensors[BLOCK_INDICES][1] = 6);
    case("input `block_indices` holds 3 at element 0, expected a block with 4 written tokens; this one has 0", &|i| {
        i.tensors[BLOCK_INDICES][0] = 3;
    });
    case("input `block_indices` holds 0 at element 2, expected a block that is written to be named once", &|i| {
        i.tensors[BLOCK_INDICES][2] = 0;
    });
    case("input `block_indices` holds 2 at element 0, expected a block that is written to be named once", &|i| {
        i.tensors[BLOCK_INDICES][2] = 2;
    });
    case("input `subsequence_begins` holds 1 at element 0, expected 0 there", &|i| i.tensors[BEGINS][0] = 1);
    case("input `subsequence_begins` holds 0 at element 1, expected more than the element before, 0", &|i| {
        i.tensors[BEGINS][1] = 0;
    });
    case("input `subsequence_begins` holds 3 at element 2, expected the total there, 2", &|i| i.tensors[BEGINS][2] = 3);
    case(
        "input `block_indices_begins` holds 1 at element 1, expected 2 blocks for the 6 tokens of sequence 0, not 1",
        &|i| {
            i.tensors[BLOCK_BEGINS][1] = 1;
        },
    );
    case("input `max_context_len` holds 7 at element 0, expected the length of the longest sequence, 6", &|i| {
        i.max_context_len = 7;
    });
    case("input `past_lens` holds 64 at element 0, expected 0 to 63", &|i| i.tensors[PAST][0] = 64);
    case("input `logit_idx` has size 0 in dimension 0, expected at least 1", &|i| i.tensors[LOGITS].clear());
    case("input `logit_idx` holds 2 at element 1, expected 0 to 1", &|i| i.tensors[LOGITS][1] = 2);
    case("input `input_ids` holds -1 at element 0, expected 0 to 511", &|i| i.tensors[IDS][0] = -1);
    case("input `position_ids` has size 1 in dimension 0, expected 2 (T)", &|i| i.tensors[POSITIONS].truncate(1));
    for (inputs, words) in cases {
        let refused = inputs.check(4, &written).expect_err(words);
        assert_eq!((refused.to_string().as_str(), refused.kind()), (words, ErrorKind::InvalidArgument));
    }
}

fn paged(profile: Profile) -> Option<PagedGraph> {
    let files = files_in(&root().join("fixtures/models/tiny"), "model");
    let options = Options { profile, ..Options::default() };
    let graph = PagedGraph::load(&runtime()?, &files, &text_spec(VOCABULARY), &options, bounds(0));
    Some(graph.expect("the tiny model is paged"))
}

fn infer(context: &mut PagedContext, parts: &[Part]) -> Vec<Vec<f32>> {
    let logits = Inputs::of(parts).with(|inputs| context.infer(inputs).map(<[u8]>::to_vec)).expect("infers");
    let values: Vec<f32> = logits.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    values.chunks(VOCABULARY as usize).map(<[f32]>::to_vec).collect()
}

/// The logits after each of these tokens by the stateful graph.
fn stateful(tokens: &[i32]) -> Vec<Vec<f32>> {
    let graph = tiny(Profile::Exact).expect("OpenVINO is here");
    let mut context = graph.context().expect("a context");
    Step::dummy().run(&mut context).expect("computes");
    Step::row(tokens, 0, 1, &[0]).run(&mut context).expect("computes")
}

#[test]
fn pages_give_the_logits_of_the_stateful_graph_however_prompts_are_cut_and_batched() {
    let Some(graph) = paged(Profile::Exact) else { return };
    assert_eq!((graph.cache().block_size, graph.bounds().block_size), (32, 32));
    assert_eq!(graph.cache().key_precision, "f32");
    let tokens: Vec<i32> = (0..30).map(|index| index * 17 % 512).collect();
    let expected = stateful(&tokens);
    let mut context = graph.context(4).expect("a context");
    let close = |got: &[f32], place: usize| {
        let error = difference(got, &expected[place]);
        assert!(error < 1e-4, "token {place}: {error}");
    };
    // Two sequences with the same tokens, one of them behind: prefill chunks beside decoding in one step.
    let part = |past: usize, end: usize, block| {
        let past_len = i32::try_from(past).expect("small");
        Part { past: past_len, tokens: tokens[past..end].to_vec(), blocks: vec![block] }
    };
    let logits = infer(&mut context, &[part(0, 20, 3)]);
    close(&logits[0], 19);
    for (first, second) in [((20, 21), (0, 7)), ((21, 22), (7, 8)), ((22, 30), (8, 30))] {
        let logits = infer(&mut context, &[part(first.0, first.1, 3), part(second.0, second.1, 1)]);
        close(&logits[0], first.1 - 1);
        close(&logits[1], second.1 - 1);
    }
    // Draft tokens that were rejected are undone by a smaller past.
    infer(&mut context, &[Part { past: 25, tokens: vec![1, 2, 3], blocks: vec![3] }]);
    close(&infer(&mut context, &[part(25, 30, 3)])[0], 29);
}

#[test]
fn a_refused_step_leaves_the_cache_as_it_was_and_a_new_context_has_nothing_to_read() {
    let Some(graph) = paged(Profile::Exact) else { return };
    let mut context = graph.context(2).expect("a context");
    let part = Part { past: 0, tokens: vec![5, 6, 7], blocks: vec![1] };
    infer(&mut context, &[part]);
    let next = [Part { past: 3, tokens: vec![8], blocks: vec![1] }];
    let foreign = Inputs::of(&[Part { past: 3, tokens: vec![8], blocks: vec![0] }]);
    let refused = foreign.with(|inputs| context.infer(inputs).map(drop)).expect_err("never written");
    assert!(matches!(refused, Error::Inconsistent { .. }), "{refused}");
    let again = infer(&mut context, &next);
    let mut other = graph.context(2).expect("a context");
    let refused = Inputs::of(&next).with(|inputs| other.infer(inputs).map(drop)).expect_err("a new context");
    assert!(matches!(refused, Error::Inconsistent { .. }), "{refused}");
    infer(&mut other, &[Part { past: 0, tokens: vec![5, 6, 7], blocks: vec![0] }]);
    assert_eq!(again, infer(&mut other, &[Part { past: 3, tokens: vec![8], blocks: vec![0] }]));
}

#[test]
fn a_graph_without_a_cache_is_not_paged_and_says_why() {
    let Some(runtime) = runtime() else { return };
    let files = files_in(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), "fragile");
    let refused =
        PagedGraph::load(&runtime, &files, &text_spec(8), &Options::default(), bounds(0)).err().expect("refused");
    assert!(refused.to_string().starts_with("OpenVINO failed to turn the KV cache of `"), "{refused}");
    let words = std::error::Error::source(&refused).expect("words").to_string();
    assert!(words.contains("stateful"), "{words}");
}
