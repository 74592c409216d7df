//! Files with several scans, progressive or not: all coefficients are collected first, then they
//! become pixels band by band.
//!
//! What each scan adds is checked against what is known already. At the end every bit of every
//! coefficient must be there: libjpeg smooths over what is missing, which is a guess.

use std::sync::Arc;

use super::super::super::Error;
use super::band::Bands;
use super::bits::Bits;
use super::frame::{Component, Frame};
use super::header::Header;
use super::huffman::ZIGZAG;
use super::intervals::Intervals;
use super::progressive::{BlockReader, State};
use super::scan::{Part, Scan};
use super::tables::Steps;
use super::transform::inverse;
use super::{beyond_samples, damaged};

/// Coefficients of the whole image.
pub(super) struct Coefficients {
    planes: Vec<Plane>,
    /// Units of the image: columns and rows.
    units: (usize, usize),
}

/// One component's coefficients.
struct Plane {
    component: Component,
    /// Blocks that lie in the image: columns and rows.
    used: (usize, usize),
    /// Blocks in a row of whole units.
    stride: usize,
    blocks: Vec<[i16; 64]>,
    /// The steps that held when the component's first scan began.
    steps: Option<Arc<Steps>>,
    /// For each coefficient in the order of the file, the lowest bit that is known.
    known: [Option<u8>; 64],
}

impl Coefficients {
    /// All 0, and nothing known.
    pub(super) fn new(frame: &Frame) -> Self {
        let units = frame.units();
        let (columns, rows) = (units.columns as usize, units.rows as usize);
        let plane = |component: &Component| {
            let (across, down) = (component.across as usize, component.down as usize);
            let used = |length: u32, part: u32, whole: u32| (length * part).div_ceil(whole * 8) as usize;
            let used_columns = used(frame.width, component.across, units.across);
            let used_rows = used(frame.height, component.down, units.down);
            Plane {
                component: *component,
                used: (used_columns, used_rows),
                stride: columns * across,
                blocks: vec![[0; 64]; columns * across * rows * down],
                steps: None,
                known: [None; 64],
            }
        };
        Self { planes: frame.components.iter().map(plane).collect(), units: (columns, rows) }
    }

    /// Decodes one scan.
    pub(super) fn decode(&mut self, scan: &Scan, intervals: &mut Intervals<'_>) -> Result<(), Error> {
        for part in &scan.parts {
            self.planes[part.index].begin(scan, part)?;
        }
        let readers = scan.parts.iter().map(|part| BlockReader::new(part, scan)).collect::<Result<Vec<_>, _>>()?;
        let (columns, rows) = match scan.parts.as_slice() {
            // A component that has a scan of its own has no blocks beyond the image in it.
            [part] => self.planes[part.index].used,
            _ => self.units,
        };
        let units = columns * rows;
        let restart = if scan.restart == 0 { units } else { scan.restart };
        let mut unit = 0;
        while unit < units {
            let end = units.min(unit + restart);
            let mut bits = Bits::new(intervals.next(end == units)?);
            let mut state = State::default();
            while unit < end {
                self.decode_unit(&readers, &mut bits, &mut state, (unit % columns, unit / columns))?;
                unit += 1;
                // Asked often enough that a cut-off scan of a large image ends early.
                if unit % columns == 0 {
                    bits.check()?;
                }
            }
            bits.check()?;
        }
        Ok(())
    }

    fn decode_unit(
        &mut self,
        readers: &[BlockReader<'_>],
        bits: &mut Bits<'_>,
        state: &mut State,
        (column, row): (usize, usize),
    ) -> Result<(), Error> {
        if let [reader] = readers {
            let plane = &mut self.planes[reader.index];
            return reader.read(bits, state, &mut plane.blocks[row * plane.stride + column]);
        }
        for reader in readers {
            let plane = &mut self.planes[reader.index];
            let (across, down) = (plane.component.across as usize, plane.component.down as usize);
            for y in row * down..(row + 1) * down {
                for x in column * across..(column + 1) * across {
                    reader.read(bits, state, &mut plane.blocks[y * plane.stride + x])?;
                }
            }
        }
        Ok(())
    }

    /// Makes pixels of coefficients that are complete.
    pub(super) fn pixels(mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let frame = &header.frame;
        let steps = self.planes.iter().map(Plane::natural_steps).collect::<Result<Vec<_>, _>>()?;
        let mut rgb = vec![0; frame.width as usize * frame.height as usize * 3];
        let mut bands = Bands::new(frame, header.colours);
        for band in 0..self.units.1 {
            for (index, (plane, steps)) in self.planes.iter_mut().zip(&steps).enumerate() {
                plane.transform(index, band, steps, &mut bands)?;
            }
            bands.emit(&mut rgb, band + 1 == self.units.1);
        }
        Ok(rgb)
    }
}

impl Plane {
    /// Checks that a scan goes on where the ones before have ended.
    fn begin(&mut self, scan: &Scan, part: &Part) -> Result<(), Error> {
        let spectrum = scan.spectrum;
        let out_of_order = spectrum.first > 0 && self.known[0].is_none();
        let range = &mut self.known[spectrum.first..=spectrum.last];
        if out_of_order || range.iter().any(|known| *known != spectrum.before) {
            return Err(damaged("its scans do not follow from one another"));
        }
        range.fill(Some(spectrum.low));
        self.steps.get_or_insert_with(|| part.steps.clone());
        Ok(())
    }

    /// The steps in the order of the block's rows, if nothing of the coefficients is missing.
    fn natural_steps(&self) -> Result<Steps, Error> {
        let complete = self.known.iter().all(|known| *known == Some(0));
        let steps = self.steps.as_ref().filter(|_| complete);
        let steps = steps.ok_or_else(|| damaged("it lacks scans: a part of its coefficients is missing"))?;
        let mut natural = [0; 64];
        for (&place, &step) in ZIGZAG.iter().zip(steps.iter()) {
            natural[usize::from(place)] = step;
        }
        Ok(natural)
    }

    fn transform(&mut self, index: usize, band: usize, steps: &Steps, bands: &mut Bands) -> Result<(), Error> {
        let down = self.component.down as usize;
        for y in 0..down {
            let start = (band * down + y) * self.stride;
            for (column, block) in self.blocks[start..start + self.stride].iter_mut().enumerate() {
                for (value, step) in block.iter_mut().zip(steps) {
                    *value = value.wrapping_mul(*step);
                }
                let last = if block[1..].iter().all(|value| *value == 0) { 0 } else { 63 };
                let (place, stride, samples) = bands.block(index, column, y);
                if !inverse(block, last, &mut samples[place..], stride) {
                    return Err(beyond_samples());
                }
            }
        }
        Ok(())
    }
}
