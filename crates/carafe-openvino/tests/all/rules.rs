//! The rules for a decoder's values, against a naive model of them and in words. No OpenVINO here.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use carafe_openvino::decoder::{WrittenBlocks, check_inputs};
use carafe_openvino::{Error, ErrorKind};
use proptest::prelude::*;

use crate::support::{
    BEGINS, BLOCK_BEGINS, BLOCK_INDICES, BLOCKS, CONTEXT, IDS, Inputs, LOGITS, LONGEST, PAST, POSITIONS, Part,
    VOCABULARY, bounds,
};

fn check(inputs: &Inputs, written: &WrittenBlocks) -> Result<(), Error> {
    inputs.with(|inputs| check_inputs(&bounds(4), written, inputs).map(drop))
}

/// The rules in their own words, slowly: what may be read is `written`, per block.
fn keeps_the_rules(inputs: &Inputs, size: i128, written: &[i128]) -> bool {
    let [ids, positions, past, begins, blocks, block_begins, longest_given, logits] =
        inputs.0.each_ref().map(|values| values.iter().map(|&value| i128::from(value)).collect::<Vec<_>>());
    let all = |values: &[i128], limit: i128| values.iter().all(|value| (0..limit).contains(value));
    let (tokens, sequences) = (ids.len() as i128, past.len());
    let sizes = (1..=64).contains(&ids.len())
        && (1..=4).contains(&sequences)
        && (1..=40).contains(&logits.len())
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
    longest_given == [longest] && writers.iter().all(named_once)
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
    let values = &mut inputs.0[which];
    if which == LONGEST {
        // A single number stays one.
        values[0] = value.unwrap_or_default();
        return;
    }
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
            let right = keeps_the_rules(&inputs, 4, &model);
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
    let [ids, _, past, begins, blocks, block_begins, ..] = &inputs.0;
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
    check(&Inputs::of(&next()), &written).expect("right");
    let mut cases: Vec<(Inputs, &str)> = Vec::new();
    let mut case = |words, change: &dyn Fn(&mut Inputs)| {
        let mut inputs = Inputs::of(&next());
        change(&mut inputs);
        cases.push((inputs, words));
    };
    case("input `block_indices` holds 6 at element 1, expected 0 to 5", &|i| i.0[BLOCK_INDICES][1] = 6);
    case("input `block_indices` holds 3 at element 0, expected a block with 4 written tokens; this one has 0", &|i| {
        i.0[BLOCK_INDICES][0] = 3;
    });
    case("input `block_indices` holds 0 at element 2, expected a block that is written to be named once", &|i| {
        i.0[BLOCK_INDICES][2] = 0;
    });
    case("input `block_indices` holds 2 at element 0, expected a block that is written to be named once", &|i| {
        i.0[BLOCK_INDICES][2] = 2;
    });
    case("input `subsequence_begins` holds 1 at element 0, expected 0 there", &|i| i.0[BEGINS][0] = 1);
    case("input `subsequence_begins` holds 0 at element 1, expected more than the element before, 0", &|i| {
        i.0[BEGINS][1] = 0;
    });
    case("input `subsequence_begins` holds 3 at element 2, expected the total there, 2", &|i| i.0[BEGINS][2] = 3);
    case(
        "input `block_indices_begins` holds 1 at element 1, expected 2 blocks for the 6 tokens of sequence 0, not 1",
        &|i| {
            i.0[BLOCK_BEGINS][1] = 1;
        },
    );
    case("input `max_context_len` holds 7 at element 0, expected the length of the longest sequence, 6", &|i| {
        i.0[LONGEST][0] = 7;
    });
    case("input `past_lens` holds 64 at element 0, expected 0 to 63", &|i| i.0[PAST][0] = 64);
    case("input `logit_idx` has size 0 in dimension 0, expected at least 1", &|i| i.0[LOGITS].clear());
    case("input `logit_idx` holds 2 at element 1, expected 0 to 1", &|i| i.0[LOGITS][1] = 2);
    case("input `input_ids` holds -1 at element 0, expected 0 to 511", &|i| i.0[IDS][0] = -1);
    case("input `position_ids` has size 1 in dimension 0, expected 2 (T)", &|i| i.0[POSITIONS].truncate(1));
    for (inputs, words) in cases {
        let refused = check(&inputs, &written).expect_err(words);
        assert_eq!((refused.to_string().as_str(), refused.kind()), (words, ErrorKind::InvalidArgument));
    }
}
