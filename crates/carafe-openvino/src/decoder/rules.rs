//! The rules for the values of a decoder's inputs, in the order in which they build on each other.

use std::ops::Range;

use super::{DecoderBounds, DecoderInputs, WrittenBlocks};
use crate::error::Error;
use crate::shape::Bound;

/// What is known of inputs that keep every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInputs {
    /// N, rows of logits.
    pub num_logits: u32,
    /// Blocks that are written, with the tokens that they hold afterwards.
    pub(super) writes: Vec<(u32, u32)>,
}

/// An input as it came.
type Values<'a> = &'a [[u8; 4]];

/// Validates the inputs of one inference; returns the first violation.
///
/// # Errors
///
/// [`Error::TooLarge`], [`Error::WrongDimension`], [`Error::ValueOutOfRange`] or
/// [`Error::Inconsistent`], which name the input, the element, what it is and what was expected.
pub fn check_inputs(
    bounds: &DecoderBounds,
    written: &WrittenBlocks,
    inputs: &DecoderInputs<'_>,
) -> Result<CheckedInputs, Error> {
    let num_logits = check_sizes(bounds, inputs)?;
    check_values(bounds, written, inputs)?;
    let sequences = sequences(bounds, inputs)?;
    check_max_context_len(inputs, &sequences)?;
    sequences.iter().try_for_each(|sequence| check_past(bounds, written, inputs, sequence))?;
    let writes = writes(bounds, inputs, &sequences);
    check_exclusive(bounds, written, inputs, &sequences, &writes)?;
    Ok(CheckedInputs { num_logits, writes: writes.into_iter().map(|write| (write.block, write.tokens)).collect() })
}

/// T, B and N are at least 1 and within their bounds, and every input is as long as they say.
/// Returns N.
fn check_sizes(bounds: &DecoderBounds, inputs: &DecoderInputs<'_>) -> Result<u32, Error> {
    let num_tokens = within(Bound::Tokens, "input_ids", inputs.input_ids, bounds.spec.max_num_batched_tokens)?;
    let num_seqs = within(Bound::Sequences, "past_lens", inputs.past_lens, bounds.spec.max_num_seqs)?;
    let num_logits = within(Bound::Logits, "logit_idx", inputs.logit_idx, bounds.spec.max_num_logits)?;
    let lengths = [
        ("position_ids", inputs.position_ids, num_tokens, "T"),
        ("subsequence_begins", inputs.subsequence_begins, num_seqs + 1, "B+1"),
        ("block_indices_begins", inputs.block_indices_begins, num_seqs + 1, "B+1"),
    ];
    for (tensor, values, expected, letter) in lengths {
        if values.len() != expected as usize {
            let got = u32::try_from(values.len()).unwrap_or(u32::MAX);
            return Err(Error::WrongDimension { tensor: tensor.into(), axis: 0, letter: letter.into(), expected, got });
        }
    }
    Ok(num_logits)
}

fn within(bound: Bound, tensor: &str, values: Values<'_>, limit: u32) -> Result<u32, Error> {
    match u32::try_from(values.len()) {
        Ok(0) => Err(Error::ZeroDimension { tensor: tensor.to_owned(), axis: 0 }),
        // One less than the limit of an i32, since B+1 is counted as well.
        Ok(length) if length <= limit && length < i32::MAX.unsigned_abs() => Ok(length),
        _ => Err(Error::TooLarge { bound, limit: u64::from(limit), got: values.len() as u64 }),
    }
}

/// Every index points into what it indexes, whatever else is wrong.
fn check_values(bounds: &DecoderBounds, written: &WrittenBlocks, inputs: &DecoderInputs<'_>) -> Result<(), Error> {
    let num_tokens = inputs.input_ids.len();
    let limits = [
        ("input_ids", inputs.input_ids, bounds.spec.vocabulary_size as usize),
        ("position_ids", inputs.position_ids, bounds.spec.context_length as usize),
        ("past_lens", inputs.past_lens, bounds.spec.context_length as usize),
        ("block_indices", inputs.block_indices, written.num_blocks()),
        ("logit_idx", inputs.logit_idx, num_tokens),
    ];
    limits.into_iter().try_for_each(|(tensor, values, limit)| check_below(tensor, values, limit))
}

/// One pass without branches: a negative value is a huge unsigned one.
fn check_below(tensor: &str, values: Values<'_>, limit: usize) -> Result<(), Error> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let outside = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) >= limit;
    if !values.iter().fold(false, |any, value| any | outside(value)) {
        return Ok(());
    }
    let index = values.iter().position(outside).unwrap_or_default();
    let got = values.get(index).map_or(0, |bytes| i32::from_le_bytes(*bytes));
    Err(Error::ValueOutOfRange { tensor: tensor.to_owned(), index, largest: limit.saturating_sub(1), got })
}

/// A sequence of the inference: its tokens and its blocks.
struct Sequence {
    /// Tokens that the cache holds.
    past: u32,
    /// Past and new.
    length: u32,
    /// Where its blocks are in `block_indices`.
    blocks: Range<usize>,
}

impl Sequence {
    /// Blocks that it only reads, and those of them that are full.
    fn first_written(&self, bounds: &DecoderBounds) -> usize {
        (self.past / bounds.block_size) as usize
    }
}

/// Splits tokens and blocks into sequences: each has at least one new token, and exactly the blocks
/// that it needs.
fn sequences(bounds: &DecoderBounds, inputs: &DecoderInputs<'_>) -> Result<Vec<Sequence>, Error> {
    let tokens = ranges("subsequence_begins", inputs.subsequence_begins, inputs.input_ids.len())?;
    let blocks = ranges("block_indices_begins", inputs.block_indices_begins, inputs.block_indices.len())?;
    let all = inputs.past_lens.iter().zip(tokens).zip(blocks).enumerate();
    all.map(|(index, ((past, tokens), blocks))| {
        let past = u32::from_le_bytes(*past);
        // Both are below 2^31 by the rules before.
        let length = past + u32::try_from(tokens.len()).unwrap_or(u32::MAX >> 1);
        if length > bounds.spec.context_length {
            let expected = format!("past and new tokens of a sequence to be at most {}", bounds.spec.context_length);
            return Err(inconsistent("past_lens", index, length, expected));
        }
        let needed = length.div_ceil(bounds.block_size) as usize;
        if blocks.len() != needed {
            let expected = format!("{needed} blocks for the {length} tokens of sequence {index}, not {}", blocks.len());
            return Err(inconsistent("block_indices_begins", index + 1, blocks.end, expected));
        }
        Ok(Sequence { past, length, blocks })
    })
    .collect()
}

/// What begins at 0, rises, and ends at the total, as ranges that are not empty.
fn ranges(tensor: &'static str, begins: Values<'_>, total: usize) -> Result<Vec<Range<usize>>, Error> {
    let begin = |index: usize| begins.get(index).map_or(0, |bytes| i64::from(i32::from_le_bytes(*bytes)));
    let last = begins.len().saturating_sub(1);
    if begin(0) != 0 {
        return Err(inconsistent(tensor, 0, begin(0), "0 there".to_owned()));
    }
    for index in 1..=last {
        if begin(index) <= begin(index - 1) {
            let expected = format!("more than the element before, {}", begin(index - 1));
            return Err(inconsistent(tensor, index, begin(index), expected));
        }
    }
    if usize::try_from(begin(last)).ok() != Some(total) {
        return Err(inconsistent(tensor, last, begin(last), format!("the total there, {total}")));
    }
    // They rise from 0 to a `usize`.
    let place = |index: usize| usize::try_from(begin(index)).unwrap_or_default();
    Ok((0..last).map(|index| place(index)..place(index + 1)).collect())
}

fn check_max_context_len(inputs: &DecoderInputs<'_>, sequences: &[Sequence]) -> Result<(), Error> {
    let longest = sequences.iter().map(|sequence| sequence.length).max().unwrap_or_default();
    let got = i32::from_le_bytes(inputs.max_context_len);
    if u32::try_from(got).ok() == Some(longest) {
        return Ok(());
    }
    Err(inconsistent("max_context_len", 0, got, format!("the length of the longest sequence, {longest}")))
}

/// The past of a sequence lies in blocks that were written that far, in this context.
fn check_past(
    bounds: &DecoderBounds,
    written: &WrittenBlocks,
    inputs: &DecoderInputs<'_>,
    sequence: &Sequence,
) -> Result<(), Error> {
    for (place, needed) in sequence.blocks.clone().zip(tokens_of_blocks(bounds, sequence.past)) {
        let block = block(inputs, place);
        let tokens = written.0.get(block as usize).copied().unwrap_or_default();
        if tokens < needed {
            let expected = format!("a block with {needed} written tokens; this one has {tokens}");
            return Err(inconsistent("block_indices", place, block, expected));
        }
    }
    Ok(())
}

/// How many of a sequence's tokens each block holds.
fn tokens_of_blocks(bounds: &DecoderBounds, tokens: u32) -> impl Iterator<Item = u32> + use<> {
    let size = bounds.block_size;
    (0..tokens.div_ceil(size)).map(move |index| (tokens - index * size).min(size))
}

/// A block that an inference writes.
struct Write {
    /// Where it is named in `block_indices`.
    place: usize,
    block: u32,
    /// Tokens that it holds afterwards.
    tokens: u32,
}

fn writes(bounds: &DecoderBounds, inputs: &DecoderInputs<'_>, sequences: &[Sequence]) -> Vec<Write> {
    let of_sequence = |sequence: &Sequence| {
        let all = sequence.blocks.clone().zip(tokens_of_blocks(bounds, sequence.length));
        all.skip(sequence.first_written(bounds)).map(|(place, tokens)| Write {
            place,
            block: block(inputs, place),
            tokens,
        })
    };
    sequences.iter().flat_map(of_sequence).collect()
}

/// A block that is written is named once: neither a second writer nor a reader sees it half done.
fn check_exclusive(
    bounds: &DecoderBounds,
    written: &WrittenBlocks,
    inputs: &DecoderInputs<'_>,
    sequences: &[Sequence],
    writes: &[Write],
) -> Result<(), Error> {
    let mut is_written = vec![false; written.num_blocks()];
    let refused = |place: usize, block: u32| {
        inconsistent("block_indices", place, block, "a block that is written to be named once".to_owned())
    };
    for write in writes {
        match is_written.get_mut(write.block as usize) {
            Some(is_written) if !*is_written => *is_written = true,
            _ => return Err(refused(write.place, write.block)),
        }
    }
    for sequence in sequences {
        for place in sequence.blocks.clone().take(sequence.first_written(bounds)) {
            let block = block(inputs, place);
            if is_written.get(block as usize).copied().unwrap_or(true) {
                return Err(refused(place, block));
            }
        }
    }
    Ok(())
}

fn block(inputs: &DecoderInputs<'_>, place: usize) -> u32 {
    inputs.block_indices.get(place).map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
}

fn inconsistent(tensor: &str, index: usize, got: impl ToString, expected: String) -> Error {
    Error::Inconsistent { tensor: tensor.to_owned(), index, got: got.to_string(), expected }
}
