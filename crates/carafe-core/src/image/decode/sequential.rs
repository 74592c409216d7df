//! The JPEG files that cameras and encoders write most: one scan of baseline (or extended) Huffman codes, grey or YCbCr, colours at full or half size.
//!
//! All arithmetic is libjpeg's, to the bit: the same picture as Pillow reads. It is written for vectors of 128 bits, which is what
//! WebAssembly has. What is met elsewhere (progressive files, several scans, four colours) is left to `zune-jpeg`, which has no vector code
//! for WebAssembly.
//!
//! Blocks are decoded into bands, one row of units high; a band becomes pixels as soon as the rows above and below are there, since
//! colours at half height are interpolated between rows.

mod band;
mod bits;
mod colour;
mod huffman;
mod scan;
mod tables;
mod transform;

use super::super::Error;
use band::Bands;
use bits::Bits;
use scan::Scan;
use tables::Tables;
use transform::inverse;

/// The pixels of a file whose segments have been found in order, if it is one of those this decodes.
///
/// The entropy-coded bytes are changed in place.
pub(super) fn decode(bytes: &mut [u8]) -> Option<Result<Vec<u8>, Error>> {
    let tables = Tables::read(bytes)?;
    Some(tables.and_then(|tables| pixels(&tables, bytes)))
}

fn pixels(tables: &Tables, bytes: &mut [u8]) -> Result<Vec<u8>, Error> {
    let mut rgb = vec![0; tables.width * tables.height * 3];
    let mut bands = Bands::new(tables);
    // Kept from block to block, all 0 before a block and after it.
    let mut block = [0; 64];
    let mut scan = Scan::new(bytes, tables.scan);
    let (columns, rows) = bands.units();
    let units = columns * rows;
    let restart = if tables.restart == 0 { units } else { tables.restart };
    let mut unit = 0;
    while unit < units {
        let end = units.min(unit + restart);
        let mut bits = Bits::new(scan.interval(end == units)?);
        let mut before = [0; 3];
        while unit < end {
            decode_unit(tables, &mut bits, &mut before, &mut block, &mut bands, unit % columns)?;
            unit += 1;
            if unit % columns == 0 {
                bands.emit(&mut rgb, unit == units);
            }
        }
        bits.check()?;
    }
    Ok(rgb)
}

/// Decodes the blocks of one unit into the band; `before` holds each component's last DC value.
#[inline(never)]
fn decode_unit(
    tables: &Tables,
    bits: &mut Bits<'_>,
    before: &mut [i32; 3],
    block: &mut [i16; 64],
    bands: &mut Bands,
    column: usize,
) -> Result<(), Error> {
    for (index, component) in tables.components.iter().enumerate() {
        for y in 0..component.down {
            for x in 0..component.across {
                let last = huffman::block(bits, component, &mut before[index], block)?;
                let (place, stride, samples) = bands.block(index, column * component.across + x, y);
                inverse(block, last, &mut samples[place..], stride);
            }
        }
    }
    Ok(())
}

fn damaged(cause: &str) -> Error {
    Error::damaged("JPEG", cause)
}
