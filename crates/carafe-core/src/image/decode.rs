//! An encoded file becomes an upright 8-bit RGB image, or an error in words.
//!
//! The format is told by the first bytes, never by a name. Each format first reads its header and states what decoding would
//! hold at its peak ([`need::Need`]); past the caller's budget the file is refused before anything of that size is allocated. JPEG
//! and PNG have their decoders' own crates and not `image` around them, so that limits and strict modes are in reach: a cut-off
//! file is an error and not a grey patch.
//!
//! Choices that a reference must share: transparency is laid over white; 16-bit samples keep their high byte; four-colour
//! JPEGs hold inverted inks, as every writer stores them; the Exif orientation is applied; colour profiles and gamma are not.

mod bmp;
mod colours;
mod jpeg;
mod jpeg_header;
mod need;
mod png;
mod sequential;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};

use super::{Error, Image};

/// The largest file that is read: 20 MiB.
pub const FILE_LIMIT: usize = 20 * 1024 * 1024;

/// What a format's decoder gives back: the image as it is stored, and how it is to be turned.
struct Stored {
    image: Image,
    orientation: Orientation,
}

/// Decodes a JPEG, PNG or BMP file using at most `memory` bytes, the decoded image included and the file itself not.
///
/// # Errors
///
/// [`Error::FileTooLarge`], [`Error::TooLarge`], [`Error::InvalidImage`] or [`Error::Unsupported`].
pub fn decode(bytes: Vec<u8>, memory: u64) -> Result<Image, Error> {
    if bytes.len() > FILE_LIMIT {
        return Err(Error::FileTooLarge { bytes: bytes.len() as u64, limit: FILE_LIMIT as u64 });
    }
    let stored = match image::guess_format(&bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::decode(bytes, memory),
        Ok(ImageFormat::Png) => png::decode(&bytes, memory),
        Ok(ImageFormat::Bmp) => bmp::decode(&bytes, memory),
        Ok(other) => {
            Err(Error::Unsupported { what: format!("{} images", other.extensions_str().join("/").to_uppercase()) })
        }
        Err(_) => Err(Error::InvalidImage { reason: unknown(&bytes) }),
    }?;
    upright(stored)
}

/// Says what the file begins with, since a wrong name or an empty upload is the usual cause.
fn unknown(bytes: &[u8]) -> String {
    match bytes.get(..4) {
        Some(start) => format!("the file is no JPEG, PNG or BMP image: it begins with the bytes `{start:02x?}`"),
        None => format!("the file is no JPEG, PNG or BMP image: it has {} bytes", bytes.len()),
    }
}

/// Applies the orientation: in place where rows stay rows, through one copy otherwise ([`need::Need`] counts it).
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
