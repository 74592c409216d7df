//! From a block's coefficients to its 8 x 8 samples: libjpeg's accurate integer transform
//! (`jidctint.c`), with its constants and its roundings.
//!
//! A pass goes down eight columns that know nothing of each other, each a lane of the vectors that
//! are the rows. The rows are made columns for the second pass. A value is a sum of products of two
//! rows each, which a vector multiplies and adds in one instruction; libjpeg's own way, with fewer
//! products and more sums, comes to the same integers.

use wide::{i16x8, i32x4, u8x16};

use super::super::super::vectors::{in_turn, narrow, zip};

/// Fraction bits of the constants, and what the first pass keeps of them for the second.
const CONSTANT: u32 = 13;
const KEPT: u32 = 2;

/// The norm (the root of the sum of squares) up to which coefficients are taken.
///
/// A block of samples has a norm of at most 8 x 128 = 1024, and so have its coefficients; rounding
/// to the nearest step doubles a coefficient at most, whatever the step. The coefficients of a
/// right encoder therefore stay below 2048. Up to there no sum of two values leaves 16 bits in
/// either pass: libjpeg's vector code adds such pairs in 16 bits, and this file's in 32.
const LARGEST_NORM: i32 = 2016;

/// Bits that values lose before they are squared, so that 32 bits hold their sum. The norm changes
/// by less than 8 x 4.
const UNSQUARED: u32 = 2;

/// Writes the samples of a block, whose coefficients after `last`, in the order of the file, are
/// all 0, and clears it. Whether its coefficients are within what samples can give; if they are
/// not, the samples mean nothing.
#[inline(never)]
#[must_use]
pub(super) fn inverse(block: &mut [i16; 64], last: usize, samples: &mut [u8], stride: usize) -> bool {
    if last == 0 {
        let only = i32::from(block[0]);
        let value = ((only + (1 << 2)) >> 3) + 128;
        block[0] = 0;
        for row in samples.chunks_mut(stride).take(8) {
            row[..8].fill(value.clamp(0, 255) as u8);
        }
        return only.abs() <= LARGEST_NORM;
    }
    let coefficients = bytemuck::cast(*block);
    let within = are_within(coefficients);
    let rows = one_dimension::<{ CONSTANT - KEPT }>(coefficients);
    *block = [0; 64];
    let columns = one_dimension::<{ CONSTANT + KEPT + 3 }>(i16x8::transpose(rows));
    let [a, b, c, d, e, f, g, h] = i16x8::transpose(columns);
    let rows: [[u8; 8]; 8] = bytemuck::cast([two(a, b), two(c, d), two(e, f), two(g, h)]);
    for (row, values) in samples.chunks_mut(stride).zip(rows) {
        row[..8].copy_from_slice(&values);
    }
    within
}

/// Whether the norm is at most [`LARGEST_NORM`].
#[inline(always)]
fn are_within(rows: [i16x8; 8]) -> bool {
    const LIMIT: i32 = (LARGEST_NORM >> UNSQUARED) * (LARGEST_NORM >> UNSQUARED);
    let square = |row: i16x8| {
        let row: i16x8 = row >> UNSQUARED as i32;
        row.dot(row)
    };
    let [a, b, c, d, e, f, g, h] = rows.map(square);
    let sums = ((a + b) + (c + d)) + ((e + f) + (g + h));
    // A lane holds at most 16 squares of 26 bits, but four lanes together may pass 32 bits.
    sums.to_array().iter().fold(0_i32, |sum, lane| sum.saturating_add(*lane)) <= LIMIT
}

/// Two rows of samples, which are kept around 0 until here.
#[inline(always)]
fn two(first: i16x8, second: i16x8) -> u8x16 {
    let middle = i16x8::splat(128);
    u8x16::narrow_i16x8(first.saturating_add(middle), second.saturating_add(middle))
}

/// Frequencies become samples, less `FRACTION` bits, rounded. What comes of coefficients within
/// [`LARGEST_NORM`] fits 16 bits.
#[inline(always)]
fn one_dimension<const FRACTION: u32>([zero, one, two, three, four, five, six, seven]: [i16x8; 8]) -> [i16x8; 8] {
    let (even, odd) = ([pairs(zero, four), pairs(two, six)], [pairs(one, three), pairs(five, seven)]);
    let left = half::<FRACTION>([even[0][0], even[1][0], odd[0][0], odd[1][0]]);
    let right = half::<FRACTION>([even[0][1], even[1][1], odd[0][1], odd[1][1]]);
    let joined = |row: usize| narrow([left[row], right[row]]);
    [joined(0), joined(1), joined(2), joined(3), joined(4), joined(5), joined(6), joined(7)]
}

/// The values of two rows side by side, for the first four columns and for the last.
#[inline(always)]
fn pairs(first: i16x8, second: i16x8) -> [i16x8; 2] {
    bytemuck::cast(zip::<2>(bytemuck::cast(first), bytemuck::cast(second)))
}

/// Four columns, of which the pairs of rows 0 and 4, 2 and 6, 1 and 3, and 5 and 7 are given.
#[inline(always)]
fn half<const FRACTION: u32>([zero_four, two_six, one_three, five_seven]: [i16x8; 4]) -> [i32x4; 8] {
    let one = 1 << CONSTANT;
    let rounding = i32x4::splat(1 << (FRACTION - 1));
    let (sum, difference) = (dot(zero_four, one, one) + rounding, dot(zero_four, one, -one) + rounding);
    let (high, low) = (dot(two_six, 10703, 4433), dot(two_six, 4433, -10704));
    let odd = |[one, three, five, seven]: [i16; 4]| dot(one_three, one, three) + dot(five_seven, five, seven);
    let even = [sum + high, difference + low, difference - low, sum - high];
    let odd = [
        odd([11363, 9633, 6437, 2260]),
        odd([9633, -2259, -11362, -6436]),
        odd([6437, -11362, 2261, 9633]),
        odd([2260, -6436, 9633, -11363]),
    ];
    let value = |row: usize| (even[row] + odd[row]) >> FRACTION as i32;
    let mirrored = |row: usize| (even[row] - odd[row]) >> FRACTION as i32;
    [value(0), value(1), value(2), value(3), mirrored(3), mirrored(2), mirrored(1), mirrored(0)]
}

/// The sums of pairs, multiplied by `first` and `second`.
#[inline(always)]
fn dot(pairs: i16x8, first: i16, second: i16) -> i32x4 {
    pairs.dot(in_turn([first, second]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(coefficients: &[(usize, i16)]) -> bool {
        let mut block = [0; 64];
        coefficients.iter().for_each(|&(place, value)| block[place] = value);
        let last = if coefficients.iter().all(|(place, _)| *place == 0) { 0 } else { 63 };
        inverse(&mut block, last, &mut [0; 64], 8)
    }

    #[test]
    fn a_block_is_taken_up_to_the_norm_that_samples_can_give() {
        assert!(is_taken(&[(0, 1024)]) && is_taken(&[(0, -1024), (9, 3)]) && is_taken(&[(0, 1400), (36, -1400)]));
        assert!(!is_taken(&[(0, 2100)]) && !is_taken(&[(0, i16::MIN)]));
        assert!(!is_taken(&[(0, 1500), (4, -1500)]) && !is_taken(&[(63, i16::MIN)]));
        let all = |value| is_taken(&std::array::from_fn::<_, 64, _>(|place| (place, value)));
        assert!(all(240) && all(-240) && !all(256) && !all(-256) && !all(i16::MAX) && !all(i16::MIN));
    }
}
