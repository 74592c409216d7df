//! An encoded file becomes an upright 8-bit RGB image, or an error in words.
//!
//! The first bytes decide the format, never a name ([`kind`]). Each format first reads its header
//! and states what decoding would hold at its peak ([`need::Need`]); past the caller's budget the
//! file is refused before anything of that size is allocated. JPEG and BMP are decoded here, PNG by
//! the crate of that name. A file that lacks a part of its picture is an error and not a grey
//! patch.
//!
//! Choices that a reference must share: transparency is laid over white, in BMP as well (Pillow's
//! `convert("RGB")` drops the opacity and keeps the colours beneath); 16-bit samples keep their
//! high byte; four-colour JPEGs hold inverted inks, as every writer stores them; the Exif
//! orientation is applied (which Pillow's `Image.open` leaves to `ImageOps.exif_transpose`); colour
//! profiles and gamma are not.

mod bmp;
mod colours;
mod jpeg;
mod kind;
mod need;
mod orientation;
mod png;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use kind::Format;

use super::{Error, Image};

/// The largest file that is read: 20 MiB.
pub const FILE_LIMIT: usize = 20 * 1024 * 1024;

/// What a format's decoder gives back: the image as it is stored, and how it is to be turned.
struct Stored {
    image: Image,
    orientation: Orientation,
}

/// Decodes a JPEG, PNG or BMP file using at most `memory` bytes, the decoded image included and the
/// file itself not.
///
/// # Errors
///
/// [`Error::FileTooLarge`], [`Error::TooLarge`], [`Error::InvalidImage`] or [`Error::Unsupported`].
pub fn decode(bytes: Vec<u8>, memory: u64) -> Result<Image, Error> {
    if bytes.len() > FILE_LIMIT {
        return Err(Error::FileTooLarge { bytes: bytes.len() as u64, limit: FILE_LIMIT as u64 });
    }
    let stored = match kind::format(&bytes)? {
        Format::Jpeg => jpeg::decode(bytes, memory),
        Format::Png => png::decode(bytes, memory),
        Format::Bmp => bmp::decode(&bytes, memory),
    }?;
    upright(stored)
}

/// Applies the orientation: in place where rows stay rows, through one copy otherwise
/// ([`need::Need`] counts it).
fn upright(stored: Stored) -> Result<Image, Error> {
    if stored.orientation == Orientation::NoTransforms {
        return Ok(stored.image);
    }
    let Image { width, height, rgb } = stored.image;
    let buffer = RgbImage::from_raw(width, height, rgb);
    let buffer =
        buffer.ok_or_else(|| Error::InvalidImage { reason: "the image has too few pixels to be turned".into() })?;
    let mut turned = DynamicImage::ImageRgb8(buffer);
    turned.apply_orientation(stored.orientation);
    Ok(Image { width: turned.width(), height: turned.height(), rgb: turned.into_bytes() })
}

/// Whether the orientation makes rows of columns.
fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}
