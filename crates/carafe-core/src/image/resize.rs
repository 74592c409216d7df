//! Brings an image to the model's size, with the same bits as Pillow's `resize`.
//!
//! A reference in Python then sees exactly the pixels that the sandbox saw, which no faster resizer
//! gives: fixed-point weights coarser than Pillow's, or the columns before the rows, cost up to 6
//! of 256 in bicubic. So: rows first, then columns, each a convolution whose filter widens when the
//! image shrinks, with weights of 22 bits and 8-bit values in between.

mod rows;

use rows::scale_rows;

use super::{Error, Filter, Image, Preparation, ResizeRule, rgb_bytes};

/// Fraction bits of a weight: what an i32 has left beside 8-bit values and the filter's overshoot.
const FRACTION: u32 = 32 - 8 - 2;

/// Bytes that weights and sums take at most for each pixel of a side.
const BYTES_PER_STEP: u64 = 64;

impl Preparation {
    /// Applies the resize rule, using at most `memory` bytes, `image` included.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the rule would make an image of this shape too large on its way.
    pub fn resize(&self, image: &Image, memory: u64) -> Result<Image, Error> {
        match self.resize {
            ResizeRule::Stretch => scale(image, self.width, self.height, self.filter, memory),
            ResizeRule::Crop(side) => {
                let (width, height) = shorter_side(image, side);
                Ok(centre(&scale(image, width, height, self.filter, memory)?, self.width, self.height))
            }
        }
    }
}

/// The size at which the image's shorter side is `side`.
fn shorter_side(image: &Image, side: u32) -> (u32, u32) {
    let longer =
        |long: u32, short: u32| u32::try_from(u64::from(side) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX);
    if image.width <= image.height {
        (side, longer(image.height, image.width))
    } else {
        (longer(image.width, image.height), side)
    }
}

fn scale(image: &Image, width: u32, height: u32, filter: Filter, memory: u64) -> Result<Image, Error> {
    let between = rgb_bytes(width, image.height).saturating_add(rgb_bytes(width, height));
    let held = between.saturating_add(image.rgb.capacity() as u64);
    let steps: u64 = [image.width, image.height, width, height].map(u64::from).iter().sum();
    let (needed, limit) = (held.saturating_add(steps * BYTES_PER_STEP), memory.min(isize::MAX as u64));
    if needed > limit {
        return Err(Error::TooLarge { step: "resizing", width: image.width, height: image.height, needed, limit });
    }
    let narrow = if width == image.width { image.clone() } else { scale_rows(image, width, filter) };
    Ok(if height == image.height { narrow } else { scale_columns(&narrow, height, filter) })
}

/// The source pixels that make one target pixel.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// The windows of all `target` pixels along a side of `source` pixels.
fn windows(source: u32, target: u32, filter: Filter) -> Vec<Window> {
    let step = f64::from(source) / f64::from(target);
    let reach = filter.support() * step.max(1.0);
    (0..target).map(|index| window((f64::from(index) + 0.5) * step, reach, source, filter)).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the ends lie between 0 and `source`")]
fn window(centre: f64, reach: f64, source: u32, filter: Filter) -> Window {
    let start = (centre - reach + 0.5).max(0.0) as u32;
    let end = ((centre + reach + 0.5) as u32).min(source);
    let widening = filter.support() / reach;
    let raw: Vec<f64> = (start..end).map(|place| filter.weight((f64::from(place) - centre + 0.5) * widening)).collect();
    let sum: f64 = raw.iter().sum();
    Window { start: start as usize, weights: raw.into_iter().map(|weight| fixed(weight / sum)).collect() }
}

/// A weight in fixed point, halves away from zero.
#[expect(clippy::cast_possible_truncation, reason = "a weight lies between -2 and 2")]
fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << FRACTION) + 0.5_f64.copysign(weight)) as i32
}

/// The 8-bit value of a sum that began with [`HALF`].
fn value(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (FRACTION - 1);

#[inline(never)]
fn scale_columns(image: &Image, height: u32, filter: Filter) -> Image {
    let row_bytes = image.width as usize * 3;
    let mut sums = vec![HALF; row_bytes];
    let mut rgb = Vec::with_capacity(row_bytes * height as usize);
    for window in windows(image.height, height, filter) {
        sums.fill(HALF);
        for (row, weight) in image.rgb[window.start * row_bytes..].chunks_exact(row_bytes).zip(window.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        rgb.extend(sums.iter().copied().map(value));
    }
    Image { width: image.width, height, rgb }
}

impl Filter {
    /// How far the filter reaches from its centre, in pixels of an image that does not shrink.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = distance.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// The middle `width` x `height` of an image that is at least as large.
fn centre(image: &Image, width: u32, height: u32) -> Image {
    let left = ((image.width - width) / 2) as usize * 3;
    let top = ((image.height - height) / 2) as usize;
    let rows = image.rgb.chunks_exact(image.width as usize * 3).skip(top).take(height as usize);
    let rgb = rows.flat_map(|row| &row[left..left + width as usize * 3]).copied().collect();
    Image { width, height, rgb }
}
