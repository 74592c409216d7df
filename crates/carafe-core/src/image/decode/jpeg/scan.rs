//! The header of one scan: which components it has, with which codes, and which part of their
//! coefficients.

use std::sync::Arc;

use super::super::super::Error;
use super::damaged;
use super::frame::{Component, Frame};
use super::huffman::Codes;
use super::tables::{Steps, Tables};

/// The format's limit on the blocks of a unit of several components.
const BLOCKS_IN_A_UNIT: u32 = 10;

/// The most bits that a progressive file may keep for later scans.
const LOWEST_BIT: u8 = 13;

/// One scan.
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    pub(super) spectrum: Spectrum,
    pub(super) coding: Coding,
    /// Units between restart markers; 0 if there are none.
    pub(super) restart: usize,
}

/// One component of a scan.
pub(super) struct Part {
    /// The component's place in the frame.
    pub(super) index: usize,
    pub(super) component: Component,
    pub(super) steps: Arc<Steps>,
    /// Codes for differences of DC values, if this scan has such.
    pub(super) dc: Option<Arc<Codes>>,
    /// Codes for the other coefficients, if this scan has such.
    pub(super) ac: Option<Arc<Codes>>,
}

/// Which coefficients a scan has, and which of their bits.
#[derive(Clone, Copy)]
pub(super) struct Spectrum {
    pub(super) first: usize,
    pub(super) last: usize,
    /// The lowest bit that is known before this scan; nothing before the first.
    pub(super) before: Option<u8>,
    /// The lowest bit that is known after it.
    pub(super) low: u8,
}

/// How the blocks of a scan are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// All of a block at once.
    Sequential,
    DcFirst,
    DcRefinement,
    AcFirst,
    AcRefinement,
}

impl Scan {
    pub(super) fn read(payload: &[u8], frame: &Frame, tables: &Tables) -> Result<Self, Error> {
        let wrong_length = || damaged("a scan header has a wrong length");
        let (&count, rest) = payload.split_first().ok_or_else(wrong_length)?;
        let (chosen, rest) = rest.split_at_checked(usize::from(count) * 2).ok_or_else(wrong_length)?;
        let &[first, last, bits] = rest else { return Err(wrong_length()) };
        let (spectrum, coding) = match frame.progressive {
            true => Spectrum::read([first, last, bits], count)?,
            false => (Spectrum::ALL, Coding::Sequential),
        };
        let mut parts = Vec::new();
        for &[id, codes] in chosen.as_chunks().0 {
            // Components stand in the order of the frame.
            let begin = parts.last().map_or(0, |part: &Part| part.index + 1);
            let found = frame.components.iter().enumerate().skip(begin).find(|(_, component)| component.id == id);
            let (index, component) = found.ok_or_else(|| damaged("a scan names a component that is not its turn"))?;
            parts.push(Part::new(index, *component, codes, coding, tables)?);
        }
        let blocks: u32 = parts.iter().map(|part| part.component.across * part.component.down).sum();
        match parts.len() {
            0 => Err(damaged("a scan has no component")),
            2.. if blocks > BLOCKS_IN_A_UNIT => Err(damaged("a unit of a scan has more than 10 blocks")),
            _ => Ok(Self { parts, spectrum, coding, restart: tables.restart }),
        }
    }
}

impl Part {
    fn new(index: usize, component: Component, codes: u8, coding: Coding, tables: &Tables) -> Result<Self, Error> {
        let steps = tables.steps(component.steps)?;
        let dc = matches!(coding, Coding::Sequential | Coding::DcFirst).then(|| tables.dc(codes >> 4)).transpose()?;
        let with_ac = matches!(coding, Coding::Sequential | Coding::AcFirst | Coding::AcRefinement);
        let ac = with_ac.then(|| tables.ac(codes & 15)).transpose()?;
        Ok(Self { index, component, steps, dc, ac })
    }
}

impl Spectrum {
    /// All coefficients, with all their bits.
    const ALL: Self = Self { first: 0, last: 63, before: None, low: 0 };

    fn read([first, last, bits]: [u8; 3], components: u8) -> Result<(Self, Coding), Error> {
        let (high, low) = (bits >> 4, bits & 15);
        let refines = high != 0;
        let whole = match first {
            0 => last == 0,
            _ => (first..64).contains(&last) && components == 1,
        };
        if !whole || low > LOWEST_BIT || (refines && low + 1 != high) {
            return Err(damaged("a scan has a part of the coefficients that no scan may have"));
        }
        let coding = match (first, refines) {
            (0, false) => Coding::DcFirst,
            (0, true) => Coding::DcRefinement,
            (_, false) => Coding::AcFirst,
            (_, true) => Coding::AcRefinement,
        };
        let before = refines.then_some(high);
        Ok((Self { first: first.into(), last: last.into(), before, low }, coding))
    }
}
