//! Rows of samples become rows of pixels: luma and colour differences are turned to red, green and
//! blue as libjpeg does it (`jdcolor.c`), inks as Pillow does it (`Convert.c`).

use wide::{i16x8, i32x4, u8x16};

use super::super::super::vectors::{halves, in_turn, narrow, zip};

/// Pixels that are converted at once.
const STEP: usize = 16;

/// A row of pixels of their brightness. It may be longer, as may the rows of the functions below.
pub(super) fn grey(samples: &[u8], pixels: &mut [u8]) {
    for (pixel, grey) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
        *pixel = [*grey; 3];
    }
}

/// A row of pixels of their red, green and blue.
pub(super) fn rgb([red, green, blue]: [&[u8]; 3], pixels: &mut [u8]) {
    let samples = red.iter().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
        *pixel = [*red, *green, *blue];
    }
}

/// Makes inks of light.
pub(super) fn invert(pixels: &mut [u8]) {
    pixels.iter_mut().for_each(|value| *value = 255 - *value);
}

/// Makes red, green and blue of inverted inks: `pixels` holds cyan, magenta and yellow.
pub(super) fn darken(pixels: &mut [u8], black: &[u8]) {
    for (pixel, black) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(black) {
        *pixel = pixel.map(|ink| black - part(255 - ink, *black));
    }
}

/// `value` times `whole` / 255, rounded to the nearest; never more than `whole`.
fn part(value: u8, whole: u8) -> u8 {
    let product = u16::from(value) * u16::from(whole) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// A row of pixels of its luma and its two colour differences. All three rows may be longer; they
/// must be a multiple of [`STEP`] long.
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

/// libjpeg's factors, less the whole part that is added without multiplying; what is left fits 16
/// bits.
#[inline(always)]
fn pixels(luma: &[u8; STEP], blue: &[u8; STEP], red: &[u8; STEP]) -> [u8; STEP * 3] {
    let [y, b, r] = [*luma, *blue, *red].map(u8x16::new);
    let [reds, blues] = [r, b].map(halves);
    let greens = zip::<1>(b, r).map(less_green);
    let colours = |half: usize, y: i16x8| {
        let middle = i16x8::splat(128);
        let (r, b) = (reds[half] - middle, blues[half] - middle);
        // Half of 26345, which is odd; that makes no difference for any of the 256 values.
        let red = y + r + r.mul_scale_round(i16x8::splat(13172));
        let blue = y + b + b + b.mul_scale_round(i16x8::splat(-14942 / 2));
        [red, y - r + greens[half], blue]
    };
    let [start, end] = halves(y);
    let (first, last) = (colours(0, start), colours(1, end));
    together([
        u8x16::narrow_i16x8(first[0], last[0]),
        u8x16::narrow_i16x8(first[1], last[1]),
        u8x16::narrow_i16x8(first[2], last[2]),
    ])
}

/// What eight pairs of blue and red differences add to green, as 16-bit numbers: both products have
/// their fraction until they are summed.
#[inline(always)]
fn less_green(pairs: u8x16) -> i16x8 {
    let factors = in_turn([-22554, 18734]);
    let half_and_middle = i32x4::splat((1 << 15) + (22554 - 18734) * 128);
    let sums = halves(pairs).map(|pairs| (pairs.dot(factors) + half_and_middle) >> 16);
    narrow(sums)
}

/// Where each byte of [`STEP`] pixels comes from: for each colour and each of three vectors, the
/// place in the colour; past the end is none.
const PLACES: [[[u8; STEP]; 3]; 3] = {
    let mut places = [[[u8::MAX; STEP]; 3]; 3];
    let mut byte = 0;
    while byte < STEP * 3 {
        places[byte % 3][byte / STEP][byte % STEP] = (byte / 3) as u8;
        byte += 1;
    }
    places
};

/// The bytes of pixels, one colour after the other in each.
#[inline(always)]
fn together(colours: [u8x16; 3]) -> [u8; STEP * 3] {
    let mut bytes = [0; STEP * 3];
    for (vector, bytes) in bytes.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
        let part = |colour: usize| colours[colour].shuffle_zeroing(u8x16::new(PLACES[colour][vector]));
        *bytes = (part(0) | part(1) | part(2)).to_array();
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
