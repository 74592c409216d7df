//! Along the rows.
//!
//! Sixteen rows are scaled together. Their bytes at one place are woven side by side into a vector,
//! so that a weight is multiplied with all of them at once. Vectors multiply 16-bit numbers best,
//! two at a time, and add the products; a weight has 22 bits, so it is taken in two parts, each
//! with sums of its own, which are put together at the end.

use wide::{i32x4, u8x16};

use super::super::vectors::{VECTOR, halves, in_turn, narrow, transposed, zip};
use super::super::{Filter, Image};
use super::{FRACTION, HALF, Window, windows};

/// Rows that are scaled together: their bytes at one place lie side by side, so that a weight is
/// multiplied with all of them at once.
const ROWS: usize = VECTOR;

/// The bytes of one pixel in all of [`ROWS`] rows: red, green and blue, each of one row after
/// another.
const PIXEL: usize = ROWS * 3;

/// Pixels that are added to the sums at once.
const TAPS: usize = 4;

/// Brings each row to the width.
pub(super) fn scale_rows(image: &Image, width: u32, filter: Filter) -> Image {
    let windows: Vec<(usize, Vec<[Pair; TAPS / 2]>)> =
        windows(image.width, width, filter).into_iter().map(paired).collect();
    let (row_bytes, scaled_bytes) = (image.width as usize * 3, width as usize * 3);
    let mut rgb = vec![0; scaled_bytes * image.height as usize];
    let mut woven = vec![0; (row_bytes.next_multiple_of(VECTOR) + TAPS * 3) * ROWS];
    let mut scaled = vec![0; scaled_bytes.next_multiple_of(VECTOR) * ROWS];
    for (rows, rgb) in image.rgb.chunks(row_bytes * ROWS).zip(rgb.chunks_mut(scaled_bytes * ROWS)) {
        weave(rows, row_bytes, &mut woven);
        for ((start, weights), scaled) in windows.iter().zip(scaled.as_chunks_mut::<PIXEL>().0) {
            weigh(&woven[start * PIXEL..], weights, scaled);
        }
        unweave(&scaled, scaled_bytes, rgb);
    }
    Image { width, height: image.height, rgb }
}

/// A window's start and its weights, [`TAPS`] at a time. The last may reach a few pixels too far,
/// with weights of 0.
fn paired(mut window: Window) -> (usize, Vec<[Pair; TAPS / 2]>) {
    window.weights.resize(window.weights.len().next_multiple_of(TAPS), 0);
    let taps = window.weights.as_chunks::<TAPS>().0;
    (window.start, taps.iter().map(|&[a, b, c, d]| [pair([a, b]), pair([c, d])]).collect())
}

/// Lays the bytes of up to [`ROWS`] rows side by side; those of rows that are missing are of no
/// use.
#[inline(never)]
fn weave(rows: &[u8], row_bytes: usize, woven: &mut [u8]) {
    for (start, woven) in (0..row_bytes).step_by(VECTOR).zip(woven.as_chunks_mut::<{ VECTOR * ROWS }>().0) {
        let mut square = [u8x16::ZERO; ROWS];
        for (vector, row) in square.iter_mut().zip(rows.chunks_exact(row_bytes)) {
            *vector = match row[start..].first_chunk() {
                Some(bytes) => u8x16::new(*bytes),
                None => padded(&row[start..]),
            };
        }
        *woven = bytemuck::cast(transposed(square));
    }
}

/// Fewer bytes than a vector has, and zeros.
#[cold]
fn padded(bytes: &[u8]) -> u8x16 {
    let mut vector = [0; VECTOR];
    vector[..bytes.len()].copy_from_slice(bytes);
    u8x16::new(vector)
}

/// The way back.
#[inline(never)]
fn unweave(woven: &[u8], row_bytes: usize, rows: &mut [u8]) {
    for (start, woven) in (0..row_bytes).step_by(VECTOR).zip(woven.as_chunks::<{ VECTOR * ROWS }>().0) {
        let square = transposed(bytemuck::cast(*woven));
        for (row, vector) in rows.chunks_exact_mut(row_bytes).zip(square) {
            let bytes = vector.to_array();
            match row[start..].first_chunk_mut() {
                Some(place) => *place = bytes,
                None => row[start..].copy_from_slice(&bytes[..row_bytes - start]),
            }
        }
    }
}

/// Bits of a weight's lower part.
const LOWER: u32 = 11;

/// The weights of two pixels: their lower parts, and what is above.
type Pair = [[i16; 2]; 2];

fn pair(weights: [i32; 2]) -> Pair {
    [weights.map(|weight| (weight & ((1 << LOWER) - 1)) as i16), weights.map(|weight| (weight >> LOWER) as i16)]
}

/// Sums of sixteen products, by the weights' parts.
type Sums = [[i32x4; 4]; 2];

/// The 8-bit values of pixels times their weights, all added up. There may be more pixels than
/// weights.
#[inline(never)]
fn weigh(woven: &[u8], weights: &[[Pair; TAPS / 2]], scaled: &mut [u8; PIXEL]) {
    let pixels = woven.as_chunks::<PIXEL>().0.as_chunks::<TAPS>().0;
    for (column, scaled) in scaled.as_chunks_mut::<VECTOR>().0.iter_mut().enumerate() {
        let mut sums = [[i32x4::ZERO; 4]; 2];
        for (pixels, weights) in pixels.iter().zip(weights) {
            let place = |tap: usize| u8x16::new(pixels[tap].as_chunks().0[column]);
            add(&mut sums, [place(0), place(1)], weights[0]);
            add(&mut sums, [place(2), place(3)], weights[1]);
        }
        *scaled = rounded(sums).to_array();
    }
}

/// Adds two pixels times their weights.
#[inline(always)]
fn add(sums: &mut Sums, [first, second]: [u8x16; 2], weights: Pair) {
    let [start, end] = zip::<1>(first, second).map(halves);
    for (sums, weights) in sums.iter_mut().zip(weights) {
        let weights = in_turn(weights);
        sums[0] += start[0].dot(weights);
        sums[1] += start[1].dot(weights);
        sums[2] += end[0].dot(weights);
        sums[3] += end[1].dot(weights);
    }
}

/// The 8-bit values of sums. Only a part's sum may wrap, and comes right again.
#[inline(always)]
fn rounded([lower, upper]: Sums) -> u8x16 {
    let value = |place: usize| (lower[place] + (upper[place] << LOWER as i32) + i32x4::splat(HALF)) >> FRACTION as i32;
    let two = |first: usize| narrow([value(first), value(first + 1)]);
    u8x16::narrow_i16x8(two(0), two(2))
}
