//! JPEG: what most encoders write through `sequential`, the rest (progressive, RGB and four-colour, colours sampled otherwise) through
//! `zune-jpeg`; at most 8 bits a sample.
//!
//! That decoder is asked directly, and not through `image`, for its strict mode: the other one fills what is missing with grey.
//! It runs without processor-specific code, so that the sandbox and a native build give the same pixels.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::jpeg_header::{Frame, Header};
use super::need::{Need, output_bytes};
use super::{Error, Image, Stored, sequential, swaps_sides};

/// More scans than any encoder writes; each one is a walk over the whole image.
const SCANS: usize = 64;

/// Huffman tables, quantisation tables and the decoder itself.
const FIXED: u64 = 256 * 1024;

/// Rows of blocks that the decoder holds for each component: decoded, upsampled, and the edges kept between them.
const BLOCK_ROWS: u64 = 4;

/// Bytes of a block: 8 x 8 coefficients, or samples before the colours are converted.
const BLOCK: u64 = 64 * 2;

pub(super) fn decode(mut bytes: Vec<u8>, memory: u64) -> Result<Stored, Error> {
    let header = Header::read(&bytes)?;
    let frame = &header.frame;
    let (width, height) = (frame.width, frame.height);
    let turned = swaps_sides(header.orientation);
    let buffers = buffers(frame, header.first_scan);
    Need { width, height, output: output_bytes(width, height, 3), buffers, turned }.check(memory)?;
    check_data(&header)?;

    header.keep_picture(&mut bytes);
    let rgb = sequential::decode(&mut bytes).unwrap_or_else(|| pixels(&bytes, frame))?;
    let image = Image::new(width, height, rgb).ok_or_else(|| Error::damaged("JPEG", "its size is unclear"))?;
    Ok(Stored { image, orientation: header.orientation })
}

/// Refuses a file with fewer bits than any code for its blocks has. After the end marker the decoder, like every other, goes on
/// with zeros, so a large image could be made of a small file.
fn check_data(header: &Header) -> Result<(), Error> {
    let units = header.frame.units();
    // The units at the right and the bottom may hold fewer blocks, where components have scans of their own.
    let blocks = (units.columns - 1) * (units.rows - 1) * header.frame.blocks_in_a_unit();
    let bits = if header.frame.progressive { blocks } else { blocks * 2 };
    if header.data * 8 < bits {
        return Err(Error::damaged("JPEG", format!("{} bytes of data are too few for its size", header.data)));
    }
    Ok(())
}

/// Bytes that the decoder holds beside its output: some rows of blocks, and all coefficients unless one scan has everything.
fn buffers(frame: &Frame, first_scan: usize) -> u64 {
    let units = frame.units();
    let row = units.columns * u64::from(units.across * units.down) * BLOCK * frame.components.len() as u64;
    let whole = frame.progressive || first_scan < frame.components.len();
    let coefficients = if whole { units.columns * units.rows * frame.blocks_in_a_unit() * BLOCK } else { 0 };
    coefficients + row * BLOCK_ROWS + FIXED
}

fn pixels(bytes: &[u8], frame: &Frame) -> Result<Vec<u8>, Error> {
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refused)?;
    if decoder.dimensions() != Some((frame.width as usize, frame.height as usize)) {
        return Err(Error::damaged("JPEG", "its size is unclear"));
    }
    let mut rgb = vec![0; frame.width as usize * frame.height as usize * 3];
    decoder.decode_into(&mut rgb).map_err(refused)?;
    Ok(rgb)
}

/// The decoder's own words, less the quotation marks that its debugging form puts around them.
fn refused(error: DecodeErrors) -> Error {
    Error::damaged("JPEG", error.to_string().trim().trim_matches('"'))
}
