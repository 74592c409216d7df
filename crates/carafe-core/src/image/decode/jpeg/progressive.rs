//! The blocks of a scan that is one of several: which bits of which coefficients they add
//! (`jdphuff.c`).
//!
//! The first scan of a coefficient has its higher bits, each later one the next bit below. Runs of
//! blocks without further coefficients are counted over blocks.

use super::super::super::Error;
use super::bits::Bits;
use super::damaged;
use super::huffman::{self, BlockCodes, Codes, ZIGZAG};
use super::scan::{Coding, Part, Scan, Spectrum};

/// What is carried from block to block inside a restart interval.
#[derive(Default)]
pub(super) struct State {
    /// Each component's last DC value.
    before: [i32; 4],
    /// Blocks that have nothing more of their own to come, this one included.
    ended: u32,
}

/// How the blocks of one component are read.
pub(super) struct BlockReader<'a> {
    /// The component's place in the frame.
    pub(super) index: usize,
    spectrum: Spectrum,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Sequential(BlockCodes<'a>),
    DcFirst(&'a Codes),
    DcRefinement,
    AcFirst(&'a Codes),
    AcRefinement(&'a Codes),
}

/// Coefficients as they are stored.
const UNSCALED: [i16; 64] = [1; 64];

impl<'a> BlockReader<'a> {
    pub(super) fn new(part: &'a Part, scan: &Scan) -> Result<Self, Error> {
        let kind = match scan.coding {
            Coding::Sequential => Kind::Sequential(BlockCodes::of(part)?.with_steps(&UNSCALED)),
            Coding::DcFirst => Kind::DcFirst(huffman::needed(&part.dc)?),
            Coding::DcRefinement => Kind::DcRefinement,
            Coding::AcFirst => Kind::AcFirst(huffman::needed(&part.ac)?),
            Coding::AcRefinement => Kind::AcRefinement(huffman::needed(&part.ac)?),
        };
        Ok(Self { index: part.index, spectrum: scan.spectrum, kind })
    }

    /// Adds what the scan has of a block.
    pub(super) fn read(&self, bits: &mut Bits<'_>, state: &mut State, block: &mut [i16; 64]) -> Result<(), Error> {
        let before = &mut state.before[self.index];
        match &self.kind {
            Kind::Sequential(codes) => huffman::block(bits, codes, before, block).map(drop),
            Kind::DcFirst(codes) => {
                *before = before.wrapping_add(huffman::difference(bits, codes)?);
                block[0] = (*before << self.spectrum.low) as i16;
                Ok(())
            }
            Kind::DcRefinement => {
                bits.fill();
                block[0] |= (bits.take(1) as i16) << self.spectrum.low;
                Ok(())
            }
            Kind::AcFirst(codes) => self.first(codes, bits, &mut state.ended, block),
            Kind::AcRefinement(codes) => self.refine(codes, bits, &mut state.ended, block),
        }
    }

    fn first(&self, codes: &Codes, bits: &mut Bits<'_>, ended: &mut u32, block: &mut [i16; 64]) -> Result<(), Error> {
        if *ended > 0 {
            *ended -= 1;
            return Ok(());
        }
        let mut place = self.spectrum.first;
        while place <= self.spectrum.last {
            bits.fill();
            let symbol = codes.symbol(bits)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (run, size) {
                (15, 0) => place += 16,
                (_, 0) => {
                    *ended = end_run(run, bits) - 1;
                    return Ok(());
                }
                _ => {
                    place += run;
                    *self.coefficient(block, place)? = (bits.value(size) << self.spectrum.low) as i16;
                    place += 1;
                }
            }
        }
        Ok(())
    }

    fn refine(&self, codes: &Codes, bits: &mut Bits<'_>, ended: &mut u32, block: &mut [i16; 64]) -> Result<(), Error> {
        let mut place = self.spectrum.first;
        while *ended == 0 && place <= self.spectrum.last {
            bits.fill();
            let symbol = codes.symbol(bits)?;
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 && run < 15 {
                *ended = end_run(run, bits);
                break;
            }
            let new = match size {
                0 => 0,
                1 => self.new_bit(bits),
                _ => return Err(damaged("its data adds a coefficient of more than one bit")),
            };
            place = self.pass_over(bits, block, place, run);
            if new != 0 {
                *self.coefficient(block, place)? = new;
            }
            place += 1;
        }
        if *ended > 0 {
            // Most blocks hold nothing yet that could get a bit.
            if block[1..] != [0; 63] {
                // More zeros than there are: only what is known already gets its bit.
                self.pass_over(bits, block, place, usize::MAX);
            }
            *ended -= 1;
        }
        Ok(())
    }

    /// A coefficient that has had only zeros so far.
    fn new_bit(&self, bits: &mut Bits<'_>) -> i16 {
        let one = 1 << self.spectrum.low;
        if bits.take(1) == 1 { one } else { -one }
    }

    /// Gives coefficients that are known their next bit, up to the zero after `zeros` others; where
    /// that is.
    fn pass_over(&self, bits: &mut Bits<'_>, block: &mut [i16; 64], place: usize, mut zeros: usize) -> usize {
        for place in place..=self.spectrum.last {
            let value = &mut block[usize::from(ZIGZAG[place])];
            if *value != 0 {
                bits.fill();
                let bit = (bits.take(1) as i16) << self.spectrum.low;
                // A damaged file's value may have the bit already.
                if *value & bit == 0 {
                    *value = if *value > 0 { value.wrapping_add(bit) } else { value.wrapping_sub(bit) };
                }
            } else if zeros == 0 {
                return place;
            } else {
                zeros -= 1;
            }
        }
        self.spectrum.last + 1
    }

    fn coefficient<'b>(&self, block: &'b mut [i16; 64], place: usize) -> Result<&'b mut i16, Error> {
        if place > self.spectrum.last {
            return Err(damaged("a block has more coefficients than its scan"));
        }
        Ok(&mut block[usize::from(ZIGZAG[place])])
    }
}

/// How many blocks have nothing more to come, this one included: `2^size` and as many as the next
/// `size` bits say.
fn end_run(size: usize, bits: &mut Bits<'_>) -> u32 {
    let size = size as u32;
    (1 << size) + if size == 0 { 0 } else { bits.take(size) }
}
