//! The samples of one row of units, and what has to be kept of the row before.
//!
//! A row of pixels whose colours have half their height needs the colours' rows above and below its own. So the last pixels of a band wait for
//! the next one, and each band begins with a copy of the last rows of the one before.

use super::colour::{double_both, double_width, to_rgb};
use super::tables::Tables;

/// Rows of pixels that wait for the next band, and rows of colours that are kept for them. Two rows of luma, though, belong to one of colours.
const KEPT: usize = 2;

/// Rows of pixels are converted in steps of so many.
const STEP: usize = 16;

/// One component's samples: [`KEPT`] rows of the band before, then this band's.
struct Plane {
    stride: usize,
    /// Rows of a band.
    rows: usize,
    samples: Vec<u8>,
}

/// The bands of all components.
pub(super) struct Bands {
    width: usize,
    height: usize,
    across: usize,
    down: usize,
    planes: Vec<Plane>,
    /// Bands that have been decoded before this one.
    band: usize,
    /// Pixel rows that have been emitted.
    emitted: usize,
    /// Sums of a row of colours, one more at either end.
    sums: Vec<u16>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Plane {
    /// Row `row` of the whole component, while `before` bands have been decoded before this one.
    fn row(&self, row: usize, before: usize) -> &[u8] {
        let index = row + KEPT - before * self.rows;
        &self.samples[index * self.stride..(index + 1) * self.stride]
    }

    fn keep_last_rows(&mut self) {
        let first = self.samples.len() - KEPT * self.stride;
        self.samples.copy_within(first.., 0);
    }
}

impl Bands {
    pub(super) fn new(tables: &Tables) -> Self {
        let luma = &tables.components[0];
        let (across, down) = (luma.across, luma.down);
        let columns = tables.width.div_ceil(across * 8);
        let plane = |(across, down): (usize, usize)| {
            // So that rows of pixels can be taken in whole steps.
            let stride = (columns * across * 8).next_multiple_of(STEP);
            Plane { stride, rows: down * 8, samples: vec![0; stride * (down * 8 + KEPT)] }
        };
        let planes: Vec<Plane> = tables.components.iter().map(|one| (one.across, one.down)).map(plane).collect();
        let line = planes[0].stride;
        Self {
            width: tables.width,
            height: tables.height,
            across,
            down,
            planes,
            band: 0,
            emitted: 0,
            sums: vec![0; tables.width.div_ceil(across) + 2],
            blue: vec![0; line + across],
            red: vec![0; line + across],
        }
    }

    /// Units of the image: columns and rows.
    pub(super) fn units(&self) -> (usize, usize) {
        (self.width.div_ceil(self.across * 8), self.height.div_ceil(self.down * 8))
    }

    /// Where a component's block goes: the place of its first sample, the way from row to row, and the samples.
    pub(super) fn block(&mut self, component: usize, column: usize, row: usize) -> (usize, usize, &mut [u8]) {
        let plane = &mut self.planes[component];
        ((KEPT + row * 8) * plane.stride + column * 8, plane.stride, &mut plane.samples)
    }

    /// Makes pixels of the band that has just been filled, as far as they do not need the next one.
    #[inline(never)]
    pub(super) fn emit(&mut self, rgb: &mut [u8], last: bool) {
        let below = (self.band + 1) * self.down * 8;
        let end = match (last, self.down) {
            (true, _) => self.height,
            (false, 1) => below,
            (false, _) => below - KEPT,
        };
        let first = self.emitted;
        let rows = rgb.chunks_exact_mut(self.width * 3).enumerate().skip(first).take(end - first);
        rows.for_each(|(row, pixels)| self.pixels(row, pixels));
        self.emitted = end;
        self.planes.iter_mut().for_each(Plane::keep_last_rows);
        self.band += 1;
    }

    fn pixels(&mut self, row: usize, pixels: &mut [u8]) {
        let luma = self.planes[0].row(row, self.band);
        let [_, blue, red] = self.planes.as_slice() else {
            for (pixel, luma) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(luma) {
                *pixel = [*luma; 3];
            }
            return;
        };
        if self.across == 1 {
            return to_rgb(luma, blue.row(row, self.band), red.row(row, self.band), pixels);
        }
        let half = self.sums.len() - 2;
        for (plane, line) in [(blue, &mut self.blue), (red, &mut self.red)] {
            let line = &mut line[..half * 2];
            if self.down == 1 {
                double_width(&plane.row(row, self.band)[..half], &mut self.sums, line);
            } else {
                let (near, far) = neighbours(row, self.height.div_ceil(2));
                let (near, far) = (plane.row(near, self.band), plane.row(far, self.band));
                double_both(&near[..half], &far[..half], &mut self.sums, line);
            }
        }
        to_rgb(luma, &self.blue, &self.red, pixels);
    }
}

/// The rows of `half` rows of colours that a row of pixels lies between, the nearer one first. Beyond the edge is the edge.
fn neighbours(row: usize, half: usize) -> (usize, usize) {
    let near = row / 2;
    (near, if row.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(half - 1) })
}
