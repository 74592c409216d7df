//! PNG through the `png` crate: every colour type and depth, interlaced or not; of an animation, its still image.
//!
//! The crate is asked directly, and not through `image`, because its own limits are then ours: text and colour profiles are
//! skipped without being unpacked, and 16-bit samples are halved while they are read, which halves the peak as well.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::colours::{Samples, to_rgb};
use super::need::{Need, output_bytes};
use super::{Error, Image, Stored, swaps_sides};

/// What chunks that are kept (palette, Exif) may hold together.
const CHUNKS: u64 = 1024 * 1024;

/// The crate unfilters rows in a buffer of 128 KiB or some rows, whichever is more, which grows by doubling and never beyond the
/// image; another row holds an interlaced line.
const ROWS: u64 = 16;
const COPIES: u64 = 3;
const FIXED: u64 = 512 * 1024;

pub(super) fn decode(bytes: &[u8], memory: u64) -> Result<Stored, Error> {
    let (width, height, row) = header(bytes)?;
    let rows = ROWS.min(u64::from(height) * COPIES + 1);
    let buffers = row.saturating_mul(rows).saturating_add(FIXED + CHUNKS);
    let need =
        |channels, turned| Need { width, height, output: output_bytes(width, height, channels), buffers, turned };
    // Transparency may be declared after the header: 4 bytes a pixel until it is known.
    need(4, false).check(memory)?;

    let mut reader = configured(bytes, row).read_info().map_err(refused)?;
    let samples = samples(reader.output_color_type().0)?;
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    need(samples.bytes() as u64, swaps_sides(orientation)).check(memory)?;

    let pixels = width as usize * height as usize;
    let mut buffer = vec![0; pixels * samples.bytes().max(3)];
    let frame = reader.next_frame(&mut buffer[..pixels * samples.bytes()]).map_err(refused)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(Error::Unsupported {
            what: "animated PNG images whose first picture is smaller than the whole".into(),
        });
    }
    Ok(Stored { image: Image { width, height, rgb: to_rgb(buffer, pixels, samples) }, orientation })
}

/// Width, height and the bytes of one stored row, from the first chunk.
fn header(bytes: &[u8]) -> Result<(u32, u32, u64), Error> {
    let mut decoder = configured(bytes, 0);
    let info = decoder.read_header_info().map_err(refused)?;
    let bits = info.color_type.samples() as u64 * info.bit_depth as u64;
    Ok((info.width, info.height, (u64::from(info.width) * bits).div_ceil(8) + 1))
}

/// A decoder that gives 8-bit samples, palettes resolved, and keeps at most [`CHUNKS`] bytes and a line beside them.
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
