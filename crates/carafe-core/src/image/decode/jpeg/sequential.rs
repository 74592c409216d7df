//! Files with one scan of baseline (or extended) Huffman codes, which cameras and most encoders
//! write.
//!
//! Blocks are decoded into bands, one row of units high; a band becomes pixels as soon as the rows
//! above and below are there, since colours at half height are interpolated between rows. The code
//! is written for vectors of 128 bits, which is what WebAssembly has.

use super::super::super::Error;
use super::band::Bands;
use super::beyond_samples;
use super::bits::Bits;
use super::header::Header;
use super::huffman::{self, BlockCodes};
use super::intervals::Intervals;
use super::scan::Scan;
use super::transform::inverse;

/// One component: its blocks in a unit, and how they are written.
struct Component<'a> {
    across: usize,
    down: usize,
    codes: BlockCodes<'a>,
}

/// The pixels of a file whose only scan this is.
pub(super) fn pixels(header: &Header, scan: &Scan, intervals: &mut Intervals<'_>) -> Result<Vec<u8>, Error> {
    let frame = &header.frame;
    let components = components(scan)?;
    let mut rgb = vec![0; frame.width as usize * frame.height as usize * 3];
    let mut bands = Bands::new(frame, header.colours);
    // Kept from block to block, all 0 before a block and after it.
    let mut block = [0; 64];
    let units = frame.units();
    let (columns, rows) = (units.columns as usize, units.rows as usize);
    let units = columns * rows;
    let restart = if scan.restart == 0 { units } else { scan.restart };
    let mut unit = 0;
    while unit < units {
        let end = units.min(unit + restart);
        let mut bits = Bits::new(intervals.next(end == units)?);
        let mut before = [0; 4];
        while unit < end {
            decode_unit(&components, &mut bits, &mut before, &mut block, &mut bands, unit % columns)?;
            unit += 1;
            if unit % columns == 0 {
                bands.emit(&mut rgb, unit == units);
            }
        }
        bits.check()?;
    }
    Ok(rgb)
}

fn components(scan: &Scan) -> Result<Vec<Component<'_>>, Error> {
    let component = |part| {
        let codes = BlockCodes::of(part)?;
        Ok(Component { across: part.component.across as usize, down: part.component.down as usize, codes })
    };
    scan.parts.iter().map(component).collect()
}

/// Decodes the blocks of one unit into the band; `before` holds each component's last DC value.
#[inline(never)]
fn decode_unit(
    components: &[Component<'_>],
    bits: &mut Bits<'_>,
    before: &mut [i32; 4],
    block: &mut [i16; 64],
    bands: &mut Bands,
    column: usize,
) -> Result<(), Error> {
    for (index, component) in components.iter().enumerate() {
        for y in 0..component.down {
            for x in 0..component.across {
                let last = huffman::block(bits, &component.codes, &mut before[index], block)?;
                let (place, stride, samples) = bands.block(index, column * component.across + x, y);
                if !inverse(block, last, &mut samples[place..], stride) {
                    return Err(beyond_samples());
                }
            }
        }
    }
    Ok(())
}
