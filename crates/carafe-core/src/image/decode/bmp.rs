//! BMP through the `image` crate: 1 to 32 bits a pixel, palettes, run lengths, bit fields.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::colours::{Samples, to_rgb};
use super::need::{Need, output_bytes};
use super::{Error, Image, Stored};

/// The decoder keeps one row of at most 4 bytes a pixel, and a palette.
const BYTES_PER_COLUMN: u64 = 4;
const FIXED: u64 = 16 * 1024;

pub(super) fn decode(bytes: &[u8], memory: u64) -> Result<Stored, Error> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let samples = samples(decoder.color_type())?;
    let output = output_bytes(width, height, samples.bytes() as u64);
    let buffers = u64::from(width) * BYTES_PER_COLUMN + FIXED;
    Need { width, height, output, buffers, turned: false }.check(memory)?;

    let pixels = width as usize * height as usize;
    let mut buffer = vec![0; pixels * samples.bytes().max(3)];
    decoder.read_image(&mut buffer[..pixels * samples.bytes()]).map_err(refused)?;
    let image = Image { width, height, rgb: to_rgb(buffer, pixels, samples) };
    Ok(Stored { image, orientation: Orientation::NoTransforms })
}

fn samples(colour: ColorType) -> Result<Samples, Error> {
    match colour {
        ColorType::L8 => Ok(Samples::Grey),
        ColorType::Rgb8 => Ok(Samples::Rgb),
        ColorType::Rgba8 => Ok(Samples::RgbAlpha),
        other => Err(Error::Unsupported { what: format!("BMP images with {other:?} pixels") }),
    }
}

fn refused(error: ImageError) -> Error {
    match error {
        ImageError::Unsupported(form) => Error::Unsupported { what: format!("BMP images of this kind ({form})") },
        other => Error::damaged("BMP", other),
    }
}
