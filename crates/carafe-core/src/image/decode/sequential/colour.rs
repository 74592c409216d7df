//! Rows of samples become rows of pixels: colours at half size are interpolated and turned to red, green and blue, as libjpeg does both
//! (`jdsample.c`, `jdcolor.c`).

/// A row's samples at half width, with one more at either end that repeats the last, become twice as many: each is three parts the nearer
/// sample and one part the farther. `SHIFT` takes off what the samples were multiplied by; the two roundings differ, so that errors cancel.
#[inline(always)]
fn widen<const SHIFT: u32, const LEFT: u16, const RIGHT: u16>(padded: &[u16], row: &mut [u8]) {
    let inner = padded.len() - 2;
    let (before, here, after) = (&padded[..inner], &padded[1..=inner], &padded[2..]);
    for (pair, ((&before, &here), &after)) in row.chunks_exact_mut(2).zip(before.iter().zip(here).zip(after)) {
        pair[0] = ((here * 3 + before + LEFT) >> SHIFT) as u8;
        pair[1] = ((here * 3 + after + RIGHT) >> SHIFT) as u8;
    }
}

/// Doubles the width of a row.
#[inline(never)]
pub(super) fn double_width(samples: &[u8], padded: &mut [u16], row: &mut [u8]) {
    for (sum, &sample) in padded[1..].iter_mut().zip(samples) {
        *sum = sample.into();
    }
    pad(padded);
    widen::<2, 1, 2>(padded, row);
}

/// Doubles the width of a row that lies between `near` and `far`.
#[inline(never)]
pub(super) fn double_both(near: &[u8], far: &[u8], padded: &mut [u16], row: &mut [u8]) {
    for (sum, (&near, &far)) in padded[1..].iter_mut().zip(near.iter().zip(far)) {
        *sum = u16::from(near) * 3 + u16::from(far);
    }
    pad(padded);
    widen::<4, 8, 7>(padded, row);
}

fn pad(padded: &mut [u16]) {
    let end = padded.len() - 1;
    padded[0] = padded[1];
    padded[end] = padded[end - 1];
}

/// Pixels that are converted at once.
const STEP: usize = 16;

/// A row of pixels of its luma and its two colour differences. All three rows may be longer; they must be a multiple of [`STEP`] long.
#[inline(never)]
pub(super) fn to_rgb(luma: &[u8], blue: &[u8], red: &[u8], rgb: &mut [u8]) {
    let steps = luma.as_chunks::<STEP>().0.iter().zip(blue.as_chunks().0).zip(red.as_chunks().0);
    let (whole, rest) = rgb.as_chunks_mut::<{ STEP * 3 }>();
    let mut steps = steps.map(|((luma, blue), red)| pixels(luma, blue, red));
    for (pixels, step) in whole.iter_mut().zip(&mut steps) {
        *pixels = step;
    }
    if let Some(last) = steps.next() {
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// The factors are libjpeg's, less the whole part that is added without multiplying: what is left fits 16 bits, as vectors like it.
#[inline(always)]
fn pixels(luma: &[u8; STEP], blue: &[u8; STEP], red: &[u8; STEP]) -> [u8; STEP * 3] {
    let mut packed = [0_u32; STEP];
    for (index, packed) in packed.iter_mut().enumerate() {
        let y = i32::from(luma[index]);
        let (b, r) = (i32::from(blue[index]) - 128, i32::from(red[index]) - 128);
        let half = 1 << 15;
        let colours = [
            y + r + ((26345 * r + half) >> 16),
            y - r + ((-22554 * b + 18734 * r + half) >> 16),
            y + 2 * b + ((-14942 * b + half) >> 16),
        ];
        let [red, green, blue] = colours.map(|colour| colour.clamp(0, 255) as u32);
        *packed = red | green << 8 | blue << 16;
    }
    together(&packed)
}

/// Three bytes of each of the four-byte pixels.
#[inline(always)]
fn together(packed: &[u32; STEP]) -> [u8; STEP * 3] {
    let mut bytes = [0; STEP * 3];
    for (pixels, bytes) in packed.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<12>().0) {
        let [a, b, c, d] = *pixels;
        for (word, bytes) in [a | b << 24, b >> 8 | c << 16, c >> 16 | d << 8].into_iter().zip(bytes.as_chunks_mut().0)
        {
            *bytes = u32::to_le_bytes(word);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libjpeg's formulas, over their tables' 16 fraction bits.
    fn expected(y: i32, b: i32, r: i32) -> [i32; 3] {
        let (b, r) = (b - 128, r - 128);
        let (red, blue) = ((91881 * r + 32768) >> 16, (116_130 * b + 32768) >> 16);
        let green = (-22554 * b - 46802 * r + 32768) >> 16;
        [y + red, y + green, y + blue].map(|colour| colour.clamp(0, 255))
    }

    #[test]
    fn every_colour_is_libjpegs() {
        for (blue, red) in (0..=255).flat_map(|blue| (0..=255).map(move |red| (blue, red))) {
            for start in (0..=255).step_by(STEP) {
                let luma: [u8; STEP] = std::array::from_fn(|index| start + index as u8);
                let made = pixels(&luma, &[blue; STEP], &[red; STEP]);
                for (luma, made) in luma.iter().zip(made.as_chunks::<3>().0) {
                    assert_eq!(made.map(i32::from), expected((*luma).into(), blue.into(), red.into()));
                }
            }
        }
    }
}
