//! JPEG with Huffman codes and 8 bits a sample, baseline and progressive, to the bit as libjpeg
//! decodes it.
//!
//! [`header`] walks over the file's segments first. It says what decoding will hold, and drops what
//! carries no picture. Then one of two ways leads to rows of samples: [`sequential`] decodes a file
//! with one scan row by row; [`coefficients`] keeps the coefficients of the whole image, for files
//! with several scans. [`band`] makes pixels of the samples of both.
//!
//! A file whose picture is complete is read, whatever else is irregular about it, as libjpeg reads
//! it. A file that lacks a part of its picture is refused: libjpeg would invent that part. So is a
//! file whose coefficients are beyond what samples can be: libjpeg's sums would overflow.

mod band;
mod bits;
mod coefficients;
mod colour;
mod frame;
mod header;
mod huffman;
mod intervals;
mod progressive;
mod scan;
mod segments;
mod sequential;
mod standard;
mod tables;
mod transform;
mod upsample;

use super::super::Error;
use super::need::{Need, output_bytes};
use super::{Image, Stored, swaps_sides};
use coefficients::Coefficients;
use header::Header;
use intervals::Intervals;
use scan::Scan;
use segments::{END, SCAN, Segment};
use tables::Tables;

/// Huffman and quantisation tables, and a line of each component.
const FIXED: u64 = 256 * 1024;

/// Rows of blocks that a band holds for each component, with what it keeps of the one before, in
/// blocks of [`BLOCK`] bytes.
const BLOCK_ROWS: u64 = 4;

/// Bytes of a block's 8 x 8 coefficients.
const BLOCK: u64 = 64 * 2;

pub(super) fn decode(mut bytes: Vec<u8>, memory: u64) -> Result<Stored, Error> {
    let header = Header::read(&bytes)?;
    let frame = &header.frame;
    let (width, height) = (frame.width, frame.height);
    let turned = swaps_sides(header.orientation);
    Need { width, height, output: output_bytes(width, height, 3), buffers: buffers(&header), turned }.check(memory)?;
    check_data(&header)?;

    header.keep_picture(&mut bytes);
    let rgb = pixels(&mut bytes, &header)?;
    let image = Image::new(width, height, rgb).ok_or_else(|| damaged("its size is unclear"))?;
    Ok(Stored { image, orientation: header.orientation })
}

/// Refuses a file with fewer bits than any code for its blocks has. A small file cannot cost the
/// time of a large image.
fn check_data(header: &Header) -> Result<(), Error> {
    let units = header.frame.units();
    // The units at the right and the bottom may hold fewer blocks, where components have scans of
    // their own.
    let blocks = (units.columns - 1) * (units.rows - 1) * header.frame.blocks_in_a_unit();
    let bits = if header.frame.progressive { blocks } else { blocks * 2 };
    if header.data * 8 < bits {
        return Err(damaged(format!("{} bytes of data are too few for its size", header.data)));
    }
    Ok(())
}

/// Bytes that decoding holds beside its output: some rows of blocks, and all coefficients unless
/// one scan has everything.
fn buffers(header: &Header) -> u64 {
    let frame = &header.frame;
    let units = frame.units();
    let row = units.columns * u64::from(units.across * units.down) * BLOCK * frame.components.len() as u64;
    let blocks = units.columns * units.rows * frame.blocks_in_a_unit();
    let coefficients = if header.is_one_scan() { 0 } else { blocks * BLOCK };
    coefficients + row * BLOCK_ROWS + FIXED
}

/// Decodes the scans of a file of which only the picture has been kept. Entropy-coded bytes are
/// changed in place.
fn pixels(bytes: &mut [u8], header: &Header) -> Result<Vec<u8>, Error> {
    let frame = &header.frame;
    let mut tables = Tables::new(header.has_codes);
    let mut coefficients = (!header.is_one_scan()).then(|| Coefficients::new(frame));
    let mut position = segments::FILE_START.end;
    loop {
        let segment = Segment::at(bytes, position)?;
        let payload = &bytes[segment.payload.clone()];
        position = segment.payload.end;
        match segment.marker {
            END => break,
            SCAN => {
                let scan = Scan::read(payload, frame, &tables)?;
                let mut intervals = Intervals::new(bytes, position);
                match &mut coefficients {
                    Some(coefficients) => coefficients.decode(&scan, &mut intervals)?,
                    None => return sequential::pixels(header, &scan, &mut intervals),
                }
                position = intervals.end();
            }
            marker => tables.read(marker, payload)?,
        }
    }
    let coefficients = coefficients.ok_or_else(|| damaged("it has no scan"))?;
    coefficients.pixels(header)
}

fn damaged(cause: impl std::fmt::Display) -> Error {
    Error::damaged("JPEG", cause)
}

/// libjpeg makes pixels of such a block too, whose sums overflow: other pixels on each machine.
fn beyond_samples() -> Error {
    damaged("a block has coefficients beyond what samples can be")
}

fn unsupported(kind: impl std::fmt::Display) -> Error {
    Error::Unsupported { what: format!("{kind} JPEG images") }
}
