//! Huffman codes, and the blocks that are written in them.

use std::sync::Arc;

use super::super::super::Error;
use super::bits::{Bits, FILLED};
use super::damaged;
use super::scan::Part;
use super::tables::Steps;

/// Codes up to this length are looked up; all but the rarest are shorter.
const LOOKED_UP: u32 = 10;

/// The most bits of a difference of DC values; [`Codes::check_differences`] sees to it.
const LARGEST_DIFFERENCE: u8 = 15;

/// Places of a block's coefficients in the order of the file.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A code's symbol and length; a length of 0 means that the code is longer than [`LOOKED_UP`], or
/// none.
#[derive(Clone, Copy, Default)]
struct Symbol {
    symbol: u8,
    length: u8,
}

/// A coefficient whose code and value are short enough to be looked up together; a length of 0
/// means that they are not.
#[derive(Clone, Copy, Default)]
struct Coefficient {
    value: i16,
    run: u8,
    length: u8,
}

/// The codes of one table.
pub(super) struct Codes {
    symbols: Box<[Symbol; 1 << LOOKED_UP]>,
    coefficients: Box<[Coefficient; 1 << LOOKED_UP]>,
    /// For each length, the first code that is longer, with 16 bits.
    ends: [u32; 17],
    /// For each length, what is added to a code to find its symbol.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl Codes {
    /// The table with `counts` codes of each length from 1 to 16, for these symbols in order.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, Error> {
        let (mut ends, mut offsets) = ([0; 17], [0; 17]);
        let mut symbols = Box::new([Symbol::default(); 1 << LOOKED_UP]);
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *values.get(index).ok_or_else(|| damaged("a table of codes is cut off"))?;
                if length <= LOOKED_UP {
                    let spare = LOOKED_UP - length;
                    let places = symbols.get_mut((code << spare) as usize..((code + 1) << spare) as usize);
                    let places = places.ok_or_else(|| damaged("a table has too many codes"))?;
                    places.fill(Symbol { symbol, length: length as u8 });
                }
                (code, index) = (code + 1, index + 1);
            }
            // A code of ones alone is none.
            if code >= 1 << length {
                return Err(damaged("a table has too many codes"));
            }
            ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        let coefficients = Box::new(std::array::from_fn(|bits| short_coefficient(symbols[bits], bits)));
        Ok(Self { symbols, coefficients, ends, offsets, values: values.to_vec() })
    }

    /// Refuses symbols that no difference of DC values has, used or not, as libjpeg does.
    pub(super) fn check_differences(&self) -> Result<(), Error> {
        match self.values.iter().all(|size| *size <= LARGEST_DIFFERENCE) {
            true => Ok(()),
            false => Err(damaged("a table has a difference of more than 15 bits")),
        }
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Error> {
        let Symbol { symbol, length } = self.symbols[bits.peek(LOOKED_UP)];
        if length == 0 {
            let (symbol, length) = self.long_symbol(bits.peek(16) as u32)?;
            bits.skip(length);
            return Ok(symbol);
        }
        bits.skip(length.into());
        Ok(symbol)
    }

    /// The symbol that 16 bits begin with, and the length of its code.
    #[cold]
    fn long_symbol(&self, code: u32) -> Result<(u8, u32), Error> {
        let unknown = || damaged("its data holds a code that is in no table");
        let length = (LOOKED_UP + 1..=16).find(|&length| code < self.ends[length as usize]).ok_or_else(unknown)?;
        let index = (code >> (16 - length)) as i32 + self.offsets[length as usize];
        let symbol = usize::try_from(index).ok().and_then(|index| self.values.get(index));
        symbol.map(|symbol| (*symbol, length)).ok_or_else(unknown)
    }
}

/// How the whole blocks of a component are written.
#[derive(Clone, Copy)]
pub(super) struct BlockCodes<'a> {
    /// In the order of the file.
    steps: &'a Steps,
    dc: &'a Codes,
    ac: &'a Codes,
}

impl<'a> BlockCodes<'a> {
    pub(super) fn of(part: &'a Part) -> Result<Self, Error> {
        Ok(Self { steps: &part.steps, dc: needed(&part.dc)?, ac: needed(&part.ac)? })
    }

    /// The same with other steps.
    pub(super) fn with_steps(self, steps: &'a Steps) -> Self {
        Self { steps, ..self }
    }
}

/// The codes, which a scan of this kind has.
pub(super) fn needed(codes: &Option<Arc<Codes>>) -> Result<&Codes, Error> {
    codes.as_deref().ok_or_else(|| damaged("a table that its data needs is missing"))
}

/// What these bits begin with, if a code with its value fits in them.
fn short_coefficient(Symbol { symbol, length }: Symbol, bits: usize) -> Coefficient {
    let (run, size) = (symbol >> 4, u32::from(symbol & 15));
    let whole = u32::from(length) + size;
    if length == 0 || size == 0 || whole > LOOKED_UP {
        return Coefficient::default();
    }
    let value = (bits >> (LOOKED_UP - whole)) as i32 & ((1 << size) - 1);
    let value = if value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value };
    Coefficient { value: value as i16, run, length: whole as u8 }
}

/// Reads one block, its coefficients multiplied by their steps, in 16 bits as libjpeg's vector code
/// does. What is returned is at least the file's place of the last that is not 0.
#[inline(never)]
pub(super) fn block(
    bits: &mut Bits<'_>,
    codes: &BlockCodes<'_>,
    before: &mut i32,
    block: &mut [i16; 64],
) -> Result<usize, Error> {
    // A copy that is never borrowed stays in registers.
    let mut own = *bits;
    let steps = codes.steps;
    let difference = difference(&mut own, codes.dc)?;
    *before = before.wrapping_add(difference);
    block[0] = (*before as i16).wrapping_mul(steps[0]);
    let mut place = 1;
    // A place past the end comes round here, and is refused below.
    let mut put = |place: usize, value: i16| {
        block[usize::from(ZIGZAG[place & 63]) & 63] = value.wrapping_mul(steps[place & 63]);
    };
    while place < 64 {
        own.fill();
        let first = place;
        // The filled bits hold at least this many short ones.
        for _ in 0..FILLED / LOOKED_UP {
            let next = if place < 64 { short(&mut own, codes.ac) } else { None };
            let Some((run, value)) = next else { break };
            put(place + run, value);
            place += run + 1;
        }
        if place == first {
            let Some((run, value)) = long(&mut own, codes.ac)? else { break };
            put(place + run, value);
            place += run + 1;
        }
    }
    *bits = own;
    if place > 64 {
        return Err(damaged("a block has more than 64 coefficients"));
    }
    Ok(place - 1)
}

/// How far a DC value is from the one before.
#[inline(always)]
pub(super) fn difference(bits: &mut Bits<'_>, codes: &Codes) -> Result<i32, Error> {
    bits.fill();
    match codes.symbol(bits)? {
        0 => Ok(0),
        size => Ok(bits.value(u32::from(size & LARGEST_DIFFERENCE))),
    }
}

/// How many zeros come before the next coefficient, and its value, if both together are short.
#[inline(always)]
fn short(bits: &mut Bits<'_>, codes: &Codes) -> Option<(usize, i16)> {
    let Coefficient { value, run, length } = codes.coefficients[bits.peek(LOOKED_UP)];
    if length == 0 {
        return None;
    }
    bits.skip(length.into());
    Some((run.into(), value))
}

/// The same if they are not; nothing at the end of the block.
#[inline(always)]
fn long(bits: &mut Bits<'_>, codes: &Codes) -> Result<Option<(usize, i16)>, Error> {
    let symbol = codes.symbol(bits)?;
    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
    match (run, size) {
        // Sixteen zeros are fifteen before another.
        (15, 0) => Ok(Some((run, 0))),
        (_, 0) => Ok(None),
        _ => Ok(Some((run, bits.value(size) as i16))),
    }
}
