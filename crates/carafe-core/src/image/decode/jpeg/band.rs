//! The samples of one row of units, and what has to be kept of the row before.
//!
//! A row of pixels whose colours have half their height needs the colours' rows above and below its
//! own. So the last pixels of a band wait for the next one, and each band begins with a copy of the
//! last rows of the one before.

use super::colour;
use super::frame::{Colours, Component, Frame, Units};
use super::upsample::Upsampling;

/// Rows of pixels that wait for the next band, and rows of samples that are kept for them.
const KEPT: usize = 2;

/// Rows of pixels are converted in steps of this many pixels.
const STEP: usize = 16;

/// One component's samples: [`KEPT`] rows of the band before, then this band's.
struct Plane {
    stride: usize,
    /// Rows of a band.
    rows: usize,
    samples: Vec<u8>,
    /// Samples that lie in the image: columns and rows.
    columns: usize,
    height: usize,
    upsampling: Upsampling,
    /// A row at the image's width, and what is between.
    line: Vec<u8>,
    sums: Vec<u16>,
}

/// The bands of all components.
pub(super) struct Bands {
    width: usize,
    height: usize,
    colours: Colours,
    /// Rows of pixels of a band, and how many of them wait for the next.
    rows: usize,
    waiting: usize,
    planes: Vec<Plane>,
    /// Bands that have been decoded before this one.
    band: usize,
    /// Pixel rows that have been emitted.
    emitted: usize,
}

impl Plane {
    fn new(frame: &Frame, component: &Component, units: &Units) -> Self {
        let (across, down) = (units.across / component.across, units.down / component.down);
        let (columns, height) = (frame.width.div_ceil(across) as usize, frame.height.div_ceil(down) as usize);
        // So that rows of pixels can be taken in whole steps.
        let stride = (units.columns as usize * component.across as usize * 8).next_multiple_of(STEP);
        let rows = component.down as usize * 8;
        let upsampling = Upsampling::of(across as usize, down as usize, columns);
        let line = match upsampling {
            Upsampling::None => 0,
            _ => (frame.width as usize).next_multiple_of(STEP) + across as usize,
        };
        let (line, sums) = (vec![0; line], vec![0; columns + 2]);
        Self { stride, rows, samples: vec![0; stride * (rows + KEPT)], columns, height, upsampling, line, sums }
    }

    /// The samples for a row of pixels, while `before` bands have been decoded before this one.
    /// Those that are not upsampled may be more than the pixels.
    fn row(&mut self, row: usize, before: usize) -> &[u8] {
        let Self { stride, columns, .. } = *self;
        let whole = |row: usize| {
            let start = (row + KEPT - before * self.rows) * stride;
            &self.samples[start..start + stride]
        };
        let (near, far) = self.upsampling.rows(row, self.height);
        let (near, far) = (whole(near), whole(far));
        if self.upsampling == Upsampling::None {
            return near;
        }
        self.upsampling.apply(row, [&near[..columns], &far[..columns]], &mut self.sums, &mut self.line);
        &self.line
    }

    fn keep_last_rows(&mut self) {
        let first = self.samples.len() - KEPT * self.stride;
        self.samples.copy_within(first.., 0);
    }
}

impl Bands {
    pub(super) fn new(frame: &Frame, colours: Colours) -> Self {
        let units = frame.units();
        let planes = frame.components.iter().map(|component| Plane::new(frame, component, &units));
        let planes: Vec<Plane> = planes.collect();
        let waits = planes.iter().any(|plane| plane.upsampling.needs_the_row_below());
        Self {
            width: frame.width as usize,
            height: frame.height as usize,
            colours,
            rows: units.down as usize * 8,
            waiting: if waits { KEPT } else { 0 },
            planes,
            band: 0,
            emitted: 0,
        }
    }

    /// Where a component's block goes: the place of its first sample, the way from row to row, and
    /// the samples.
    pub(super) fn block(&mut self, component: usize, column: usize, row: usize) -> (usize, usize, &mut [u8]) {
        let plane = &mut self.planes[component];
        ((KEPT + row * 8) * plane.stride + column * 8, plane.stride, &mut plane.samples)
    }

    /// Makes pixels of the band that has just been filled, as far as they do not need the next one.
    #[inline(never)]
    pub(super) fn emit(&mut self, rgb: &mut [u8], last: bool) {
        let end = if last { self.height } else { (self.band + 1) * self.rows - self.waiting };
        let first = self.emitted;
        let rows = rgb.chunks_exact_mut(self.width * 3).enumerate().skip(first).take(end - first);
        rows.for_each(|(row, pixels)| self.pixels(row, pixels));
        self.emitted = end;
        self.planes.iter_mut().for_each(Plane::keep_last_rows);
        self.band += 1;
    }

    fn pixels(&mut self, row: usize, pixels: &mut [u8]) {
        let band = self.band;
        match (self.colours, self.planes.as_mut_slice()) {
            (Colours::Grey, [grey]) => colour::grey(grey.row(row, band), pixels),
            (Colours::Rgb, [red, green, blue]) => {
                colour::rgb([red, green, blue].map(|plane| plane.row(row, band)), pixels);
            }
            (Colours::YCbCr, [luma, blue, red]) => {
                colour::to_rgb(luma.row(row, band), blue.row(row, band), red.row(row, band), pixels);
            }
            (Colours::Cmyk, [cyan, magenta, yellow, black]) => {
                colour::rgb([cyan, magenta, yellow].map(|plane| plane.row(row, band)), pixels);
                colour::darken(pixels, black.row(row, band));
            }
            (Colours::Ycck, [luma, blue, red, black]) => {
                colour::to_rgb(luma.row(row, band), blue.row(row, band), red.row(row, band), pixels);
                colour::invert(pixels);
                colour::darken(pixels, black.row(row, band));
            }
            // A frame has as many components as its colours.
            _ => {}
        }
    }
}
