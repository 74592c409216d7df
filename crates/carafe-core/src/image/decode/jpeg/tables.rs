//! The tables that a file has defined so far. A later definition replaces an earlier one, for the
//! scans that follow it.

use std::sync::Arc;

use super::super::super::Error;
use super::damaged;
use super::huffman::Codes;
use super::segments::{HUFFMAN, QUANTISATION, RESTART};
use super::standard;

/// Steps of quantisation, in the order of the file.
pub(super) type Steps = [i16; 64];

/// What has been defined so far.
#[derive(Default)]
pub(super) struct Tables {
    steps: [Option<Arc<Steps>>; 4],
    dc: [Option<Arc<Codes>>; 4],
    ac: [Option<Arc<Codes>>; 4],
    /// Units between restart markers; 0 if there are none.
    pub(super) restart: usize,
}

impl Tables {
    /// No tables, or the standard's codes for a file without any of its own.
    pub(super) fn new(has_codes: bool) -> Self {
        let mut tables = Self::default();
        if !has_codes {
            for (kind, counts, symbols) in &standard::TABLES {
                // The standard's tables are right.
                let _ = tables.define(*kind, counts, symbols);
            }
        }
        tables
    }

    /// Takes what a segment defines; other segments change nothing.
    pub(super) fn read(&mut self, marker: u8, payload: &[u8]) -> Result<(), Error> {
        match marker {
            QUANTISATION => self.read_steps(payload),
            HUFFMAN => self.read_codes(payload),
            RESTART => self.read_restart(payload),
            _ => Ok(()),
        }
    }

    pub(super) fn steps(&self, number: u8) -> Result<Arc<Steps>, Error> {
        self.steps.get(usize::from(number)).cloned().flatten().ok_or_else(missing)
    }

    pub(super) fn dc(&self, number: u8) -> Result<Arc<Codes>, Error> {
        let codes = self.dc.get(usize::from(number)).cloned().flatten().ok_or_else(missing)?;
        codes.check_differences()?;
        Ok(codes)
    }

    pub(super) fn ac(&self, number: u8) -> Result<Arc<Codes>, Error> {
        self.ac.get(usize::from(number)).cloned().flatten().ok_or_else(missing)
    }

    fn read_steps(&mut self, mut payload: &[u8]) -> Result<(), Error> {
        let cut = || damaged("a table of steps is cut off");
        while let Some((&kind, rest)) = payload.split_first() {
            let bytes = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes).ok_or_else(cut)?;
            let mut steps = [0; 64];
            for (step, value) in steps.iter_mut().zip(values.chunks_exact(bytes)) {
                *step = value.iter().fold(0, |step, byte| step << 8 | i16::from(*byte));
            }
            let place = self.steps.get_mut(usize::from(kind & 15));
            *place.ok_or_else(|| damaged("a table of steps has an unknown number"))? = Some(Arc::new(steps));
            payload = rest;
        }
        Ok(())
    }

    fn read_codes(&mut self, mut payload: &[u8]) -> Result<(), Error> {
        let cut = || damaged("a table of codes is cut off");
        while let Some((&kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let count = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or_else(cut)?;
            self.define(kind, counts, symbols)?;
            payload = rest;
        }
        Ok(())
    }

    fn define(&mut self, kind: u8, counts: &[u8; 16], symbols: &[u8]) -> Result<(), Error> {
        let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
        let place = tables.get_mut(usize::from(kind & 15)).filter(|_| kind >> 4 <= 1);
        let place = place.ok_or_else(|| damaged("a table of codes has an unknown number"))?;
        *place = Some(Arc::new(Codes::new(counts, symbols)?));
        Ok(())
    }

    fn read_restart(&mut self, payload: &[u8]) -> Result<(), Error> {
        let &[high, low] = payload else { return Err(damaged("its restart interval has a wrong length")) };
        self.restart = u16::from_be_bytes([high, low]).into();
        Ok(())
    }
}

fn missing() -> Error {
    damaged("a table that its data needs is missing")
}
