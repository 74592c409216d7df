//! From a component's samples to one for each pixel, by libjpeg's rules (`jdsample.c`).
//!
//! Half size is interpolated: each value is three parts the nearer sample and one part the farther.
//! Other sizes, and images so narrow that there is little to interpolate, repeat their samples.

/// How a component's samples become as many as there are pixels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsampling {
    None,
    /// Interpolated to twice the width.
    Width,
    /// Interpolated to twice the height.
    Height,
    /// Interpolated to twice of both.
    Both,
    /// Each sample is repeated this many times across and down.
    Repeated(usize, usize),
}

/// libjpeg does not interpolate rows with fewer samples than this.
const NARROW: usize = 2;

impl Upsampling {
    /// For samples that each stand for `across` x `down` pixels, in rows of `columns`.
    pub(super) fn of(across: usize, down: usize, columns: usize) -> Self {
        match (across, down) {
            (1, 1) => Self::None,
            (1, 2) => Self::Height,
            (2, 1) if columns > NARROW => Self::Width,
            (2, 2) if columns > NARROW => Self::Both,
            _ => Self::Repeated(across, down),
        }
    }

    /// Whether the last row of a band cannot be made before the next band is there.
    pub(super) fn needs_the_row_below(self) -> bool {
        matches!(self, Self::Height | Self::Both)
    }

    /// The rows of samples, of `height`, that a row of pixels lies between, the nearer one first.
    pub(super) fn rows(self, row: usize, height: usize) -> (usize, usize) {
        match self {
            Self::None | Self::Width => (row, row),
            Self::Repeated(_, down) => (row / down, row / down),
            Self::Height | Self::Both => neighbours(row, height),
        }
    }

    /// Makes the samples for the pixels of `row` of the two rows that it lies between. `sums` has
    /// room for two more values than those.
    pub(super) fn apply(self, row: usize, [near, far]: [&[u8]; 2], sums: &mut [u16], line: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Width => double_width(near, sums, &mut line[..near.len() * 2]),
            Self::Height => double_height(near, far, 1 + row as u16 % 2, line),
            Self::Both => double_both(near, far, sums, &mut line[..near.len() * 2]),
            Self::Repeated(across, _) => {
                for (places, sample) in line.chunks_mut(across).zip(near) {
                    places.fill(*sample);
                }
            }
        }
    }
}

/// The rows of `height` rows of colours that a row of pixels lies between, the nearer one first.
/// Beyond the edge is the edge.
fn neighbours(row: usize, height: usize) -> (usize, usize) {
    let near = row / 2;
    (near, if row.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(height - 1) })
}

/// A row of pixels that lies between `near` and `far`; the rounding differs above and below the
/// nearer one, so that errors cancel.
fn double_height(near: &[u8], far: &[u8], rounding: u16, row: &mut [u8]) {
    for (value, (&near, &far)) in row.iter_mut().zip(near.iter().zip(far)) {
        *value = ((u16::from(near) * 3 + u16::from(far) + rounding) >> 2) as u8;
    }
}

/// A row's samples at half width, with one more at either end that repeats the last, become twice
/// as many: each is three parts the nearer sample and one part the farther. `SHIFT` takes off what
/// the samples were multiplied by; the two roundings differ, so that errors cancel.
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
fn double_width(samples: &[u8], padded: &mut [u16], row: &mut [u8]) {
    for (sum, &sample) in padded[1..].iter_mut().zip(samples) {
        *sum = sample.into();
    }
    pad(padded);
    widen::<2, 1, 2>(padded, row);
}

/// Doubles the width of a row that lies between `near` and `far`.
#[inline(never)]
fn double_both(near: &[u8], far: &[u8], padded: &mut [u16], row: &mut [u8]) {
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
