//! BMP of every kind that Pillow or a browser shows: 1 to 32 bits a pixel, palettes, run lengths,
//! bit masks, OS/2 headers.
//!
//! [`header`] reads what the file says of itself; [`pixels`] and [`runs`] read rows into the image.
//!
//! Viewers agree on what the format leaves open, and this follows them: an index beyond the palette
//! is black; a pixel that run lengths leave out has colour 0; a fourth byte without a mask is no
//! opacity; and opacity that is 0 everywhere was never meant, so that the image is opaque.

mod header;
mod pixels;
mod runs;

use image::metadata::Orientation;

use super::need::{Need, output_bytes};
use super::{Error, Image, Stored};
use header::{Coding, Header};

/// A palette, and the header's fields.
const FIXED: u64 = 16 * 1024;

pub(super) fn decode(bytes: &[u8], memory: u64) -> Result<Stored, Error> {
    let header = Header::read(bytes)?;
    let (width, height) = (header.width, header.height);
    Need { width, height, output: output_bytes(width, height, 3), buffers: FIXED, turned: false }.check(memory)?;
    let data = bytes.get(header.data..).ok_or_else(ended)?;
    let rgb = match header.coding {
        Coding::Runs { half_bytes } => runs::decode(data, &header, half_bytes)?,
        _ => pixels::decode(data, &header)?,
    };
    let image = Image::new(width, height, rgb).ok_or_else(|| damaged("its size is unclear"))?;
    Ok(Stored { image, orientation: Orientation::NoTransforms })
}

fn damaged(cause: impl std::fmt::Display) -> Error {
    Error::damaged("BMP", cause)
}

fn unsupported(kind: impl std::fmt::Display) -> Error {
    Error::Unsupported { what: format!("{kind} BMP images") }
}

fn ended() -> Error {
    damaged("the file ends before the image does")
}
