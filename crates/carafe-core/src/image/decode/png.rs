//! PNG through the `png` crate: every colour type and depth, interlaced or not; of an animation,
//! its still image.
//!
//! The crate is asked directly, and not through `image`, because its own limits are then ours: text
//! and colour profiles are skipped without being unpacked, and 16-bit samples are halved while they
//! are read, which halves the peak as well.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::colours::{Samples, to_rgb};
use super::need::{Need, output_bytes};
use super::orientation::orientation;
use super::{Error, Image, Stored, swaps_sides};

/// What chunks that are kept (palette, Exif) may hold together.
const CHUNKS: u64 = 1024 * 1024;

/// The crate unfilters rows in a buffer of 128 KiB or some rows, whichever is more, which grows by
/// doubling and never beyond the image; another row holds an interlaced line.
const ROWS: u64 = 16;
const COPIES: u64 = 3;
const FIXED: u64 = 512 * 1024;

/// Bytes of the file's signature, and of a chunk without its data.
const SIGNATURE: usize = 8;
const CHUNK: usize = 12;

/// The end chunk.
const END: [u8; CHUNK] = *b"\0\0\0\0IEND\xaeB\x60\x82";

pub(super) fn decode(mut bytes: Vec<u8>, memory: u64) -> Result<Stored, Error> {
    end_where_chunks_end(&mut bytes);
    let bytes = bytes.as_slice();
    let (width, height, row) = header(bytes)?;
    let rows = ROWS.min(u64::from(height) * COPIES + 1);
    let buffers = row.saturating_mul(rows).saturating_add(FIXED + CHUNKS);
    let need =
        |channels, turned| Need { width, height, output: output_bytes(width, height, channels), buffers, turned };
    // Transparency may be declared after the header: 4 bytes a pixel until it is known.
    need(4, false).check(memory)?;

    let mut reader = configured(bytes, row).read_info().map_err(refused)?;
    let samples = samples(reader.output_color_type().0)?;
    need(samples.bytes() as u64, false).check(memory)?;

    let pixels = width as usize * height as usize;
    let mut buffer = vec![0; pixels * samples.bytes().max(3)];
    let frame = reader.next_frame(&mut buffer[..pixels * samples.bytes()]).map_err(refused)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(Error::Unsupported {
            what: "animated PNG images whose first picture is smaller than the whole".into(),
        });
    }
    // The image is complete; what is wrong with the chunks after it, which may hold the Exif data,
    // does not matter.
    let _ = reader.finish();
    let orientation = reader.info().exif_metadata.as_deref().map_or(Orientation::NoTransforms, orientation);
    need(samples.bytes() as u64, swaps_sides(orientation)).check(memory)?;
    Ok(Stored { image: Image { width, height, rgb: to_rgb(buffer, pixels, samples) }, orientation })
}

/// Gives a file the end chunk that it lacks, after its last whole chunk. Whether its image data are
/// complete shows when they are unpacked.
fn end_where_chunks_end(bytes: &mut Vec<u8>) {
    let mut end = SIGNATURE;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(end..).and_then(|rest| rest.first_chunk::<8>()) {
        let next = end.saturating_add(u32::from_be_bytes([a, b, c, d]) as usize).saturating_add(CHUNK);
        if kind == b"IEND" && next <= bytes.len() {
            return;
        }
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    bytes.truncate(end);
    bytes.extend(END);
}

/// Width, height and the bytes of one stored row, from the first chunk.
fn header(bytes: &[u8]) -> Result<(u32, u32, u64), Error> {
    let mut decoder = configured(bytes, 0);
    let info = decoder.read_header_info().map_err(refused)?;
    let bits = info.color_type.samples() as u64 * info.bit_depth as u64;
    Ok((info.width, info.height, (u64::from(info.width) * bits).div_ceil(8) + 1))
}

/// A decoder that gives 8-bit samples, palettes resolved, and keeps at most [`CHUNKS`] bytes and a
/// line beside them.
fn configured(bytes: &[u8], row: u64) -> Decoder<Cursor<&[u8]>> {
    // A line of the output has at most 4 bytes for each of the row's bits.
    let limit = usize::try_from(row.saturating_mul(32) + CHUNKS).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

fn samples(colour: ColorType) -> Result<Samples, Error> {
    match colour {
        ColorType::Grayscale => Ok(Samples::Grey),
        ColorType::GrayscaleAlpha => Ok(Samples::GreyAlpha),
        ColorType::Rgb => Ok(Samples::Rgb),
        ColorType::Rgba => Ok(Samples::RgbAlpha),
        ColorType::Indexed => Err(Error::damaged("PNG", "its palette is missing")),
    }
}

fn refused(error: DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => {
            Error::Unsupported { what: format!("PNG images with more than {CHUNKS} bytes of Exif data") }
        }
        other => Error::damaged("PNG", other),
    }
}
