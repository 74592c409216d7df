//! Bytes as steps of a decoder: each is held against the rules, and one that passes against what
//! the rules are for.
//!
//! The fuzz target `decoder_inputs` runs this over bytes that libFuzzer makes, and a test of
//! `carafe-openvino` over the corpus.
//!
//! A byte below 200 is a small number; 200 and more begin four bytes of any number. The first two
//! bytes are the size and the number of blocks. Then come steps, each of eight lists: a length, and
//! so many numbers.

use carafe_openvino::DecoderSpec;
use carafe_openvino::decoder::{DecoderBounds, DecoderInputs, WrittenBlocks, check_inputs};

const MAX_STEPS: usize = 8;
const MAX_LENGTH: u8 = 12;

/// Runs the steps that these bytes stand for.
///
/// # Panics
/// If a step passes that reads or writes what it must not.
pub(super) fn run(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut byte = || bytes.next();
    let (Some(block_size), Some(num_blocks)) = (byte(), byte()) else { return };
    let (block_size, num_blocks) = (u32::from(block_size % 8) + 1, u32::from(num_blocks % 16) + 1);
    let spec = DecoderSpec {
        vocabulary_size: 100,
        context_length: 40,
        max_num_seqs: 4,
        max_num_batched_tokens: 10,
        max_num_logits: 5,
    };
    let bounds = DecoderBounds { spec, block_size };
    let mut written = WrittenBlocks::new(num_blocks);
    let mut model = vec![0; num_blocks as usize];
    for _ in 0..MAX_STEPS {
        let Some(step) = read_step(&mut byte) else { return };
        let inputs = as_inputs(&step);
        if let Ok(checked) = check_inputs(&bounds, &written, &inputs) {
            follow(&step, block_size as usize, &mut model);
            written.apply(&checked);
        }
    }
}

type Step = [Vec<[u8; 4]>; 8];

fn read_step(byte: &mut impl FnMut() -> Option<u8>) -> Option<Step> {
    let mut step = Step::default();
    for list in &mut step {
        for _ in 0..byte()? % MAX_LENGTH {
            let first = byte()?;
            let number = if first < 200 { [first, 0, 0, 0] } else { [byte()?, byte()?, byte()?, byte()?] };
            list.push(number);
        }
    }
    // The longest length is a single number.
    step[6].truncate(1);
    Some(step)
}

fn as_inputs(step: &Step) -> DecoderInputs<'_> {
    let [ids, positions, past, begins, blocks, block_begins, longest, logits] = step;
    DecoderInputs {
        input_ids: ids,
        position_ids: positions,
        past_lens: past,
        subsequence_begins: begins,
        block_indices: blocks,
        block_indices_begins: block_begins,
        max_context_len: longest.first().copied().unwrap_or_default(),
        logit_idx: logits,
    }
}

/// Does what the kernels do with a step that passed, slowly: every read was written before, every
/// write is nobody else's.
fn follow(step: &Step, block_size: usize, written: &mut [usize]) {
    let numbers = |list: &[[u8; 4]]| -> Vec<usize> {
        list.iter().map(|bytes| usize::try_from(i32::from_le_bytes(*bytes)).expect("no number is negative")).collect()
    };
    let [ids, _, past, begins, blocks, block_begins, _, logits] = step.each_ref().map(|list| numbers(list));
    assert!(!logits.is_empty() && logits.iter().all(|&index| index < ids.len()));
    let mut touched: Vec<(usize, bool)> = Vec::new();
    for (sequence, &past) in past.iter().enumerate() {
        let length = past + begins[sequence + 1] - begins[sequence];
        let own = &blocks[block_begins[sequence]..block_begins[sequence + 1]];
        for (index, &block) in own.iter().enumerate() {
            let (start, end) = (index * block_size, ((index + 1) * block_size).min(length));
            assert!(written[block] >= past.clamp(start, end) - start, "a read of what was not written");
            touched.push((block, end > past));
        }
        for place in past..length {
            written[own[place / block_size]] = written[own[place / block_size]].max(place % block_size + 1);
        }
    }
    for (index, &(block, is_written)) in touched.iter().enumerate() {
        let again = touched
            .iter()
            .skip(index + 1)
            .find(|(other, other_written)| *other == block && (is_written || *other_written));
        assert!(again.is_none(), "a block that is written is named twice");
    }
}
