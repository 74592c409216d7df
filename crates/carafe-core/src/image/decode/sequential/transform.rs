//! From a block's coefficients to its 8 x 8 samples: libjpeg's accurate integer transform (`jidctint.c`), with its constants and its
//! roundings.
//!
//! A pass goes over eight columns that know nothing of each other, side by side in memory: a loop that a compiler turns into vectors. The
//! rows are made columns for the second pass.

use std::num::Wrapping;

use super::super::super::square::{transposed, transposed_wide};

/// Fraction bits of the constants, and what the first pass keeps of them for the second.
const CONSTANT: u32 = 13;
const KEPT: u32 = 2;

/// A block, and what becomes of it on the way. It is kept from block to block: to clear so much memory each time would cost a tenth of
/// the whole.
pub(super) struct Transform {
    /// Coefficients by row and column; all 0 before a block and after it.
    pub(super) block: [i16; 64],
    between: [i16; 64],
    square: [u8; 64],
}

impl Transform {
    pub(super) fn new() -> Self {
        Self { block: [0; 64], between: [0; 64], square: [0; 64] }
    }

    /// Writes the samples of the block, whose coefficients after `last`, in the order of the file, are all 0, and clears it.
    #[inline(never)]
    pub(super) fn inverse(&mut self, last: usize, samples: &mut [u8], stride: usize) {
        if last == 0 {
            let value = sample((i32::from(self.block[0]) + (1 << 2)) >> 3);
            self.block[0] = 0;
            for row in samples.chunks_mut(stride).take(8) {
                row[..8].fill(value);
            }
            return;
        }
        first_pass(&mut self.block, &mut self.between);
        second_pass(&transposed_wide(&self.between), &mut self.square);
        let columns = self.square.as_chunks().0;
        let rows = transposed(std::array::from_fn(|column| u64::from_le_bytes(columns[column])));
        for (row, values) in samples.chunks_mut(stride).zip(rows) {
            row[..8].copy_from_slice(&values.to_le_bytes());
        }
    }
}

/// Down the columns. What comes of a file that an encoder wrote fits 16 bits with room to spare.
#[inline(never)]
fn first_pass(block: &mut [i16; 64], between: &mut [i16; 64]) {
    for column in 0..8 {
        let frequencies = std::array::from_fn(|row| Wrapping(block[row * 8 + column].into()));
        let values = one_dimension::<{ CONSTANT - KEPT }>(frequencies);
        for row in 0..8 {
            between[row * 8 + column] = values[row].clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            block[row * 8 + column] = 0;
        }
    }
}

/// Along the rows, which are columns here.
#[inline(never)]
fn second_pass(block: &[i16; 64], samples: &mut [u8; 64]) {
    for column in 0..8 {
        let values = one_dimension::<{ CONSTANT + KEPT + 3 }>(std::array::from_fn(|row| {
            Wrapping(block[row * 8 + column].into())
        }));
        for row in 0..8 {
            samples[row * 8 + column] = sample(values[row]);
        }
    }
}

/// Frequencies become samples, less `FRACTION` bits, rounded. Only a damaged file's sums wrap.
#[inline(always)]
fn one_dimension<const FRACTION: u32>([zero, one, two, three, four, five, six, seven]: [Wide; 8]) -> [i32; 8] {
    let middle = (two + six) * Wrapping(4433);
    let (low, high) = (middle - six * Wrapping(15137), middle + two * Wrapping(6270));
    let scaled = |value: Wide| (value << CONSTANT as usize) + Wrapping(1 << (FRACTION - 1));
    let (sum, difference) = (scaled(zero + four), scaled(zero - four));
    let even = [sum + high, difference + low, difference - low, sum - high];

    let (z1, z2) = ((seven + one) * Wrapping(-7373), (five + three) * Wrapping(-20995));
    let (z3, z4) = (seven + three, five + one);
    let z5 = (z3 + z4) * Wrapping(9633);
    let (z3, z4) = (z3 * Wrapping(-16069) + z5, z4 * Wrapping(-3196) + z5);
    let odd = [
        one * Wrapping(12299) + z1 + z4,
        three * Wrapping(25172) + z2 + z3,
        five * Wrapping(16819) + z2 + z4,
        seven * Wrapping(2446) + z1 + z3,
    ];
    std::array::from_fn(|place| {
        let row = place.min(7 - place);
        let value = if place < 4 { even[row] + odd[row] } else { even[row] - odd[row] };
        value.0 >> FRACTION
    })
}

type Wide = Wrapping<i32>;

/// Samples are kept around 0 until here.
fn sample(value: i32) -> u8 {
    (value + 128).clamp(0, 255) as u8
}
