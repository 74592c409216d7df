//! What a file is, by its first bytes and never by a name or a media type: one table for all kinds
//! that people send.
//!
//! Three kinds are decoded. The others are here so that a refusal can say what was sent; anything
//! else has one sentence.

use super::super::Error;

/// A kind that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Bmp,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Decoded(Format),
    /// Known and not decoded; a plural noun for it.
    Other(&'static str),
}

use Kind::{Decoded, Other};

/// Kinds by the bytes that stand at a place.
const MAGIC: [(usize, &[u8], Kind); 33] = [
    (0, b"\xff\xd8\xff", Decoded(Format::Jpeg)),
    (0, b"\x89PNG\r\n\x1a\n", Decoded(Format::Png)),
    (0, b"GIF8", Other("GIF images")),
    (0, b"II*\0", Other("TIFF images")),
    (0, b"MM\0*", Other("TIFF images")),
    (0, b"II+\0", Other("TIFF images")),
    (0, b"MM\0+", Other("TIFF images")),
    (8, b"WEBP", Other("WebP images")),
    (0, b"\xff\x0a", Other("JPEG XL images")),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Other("JPEG XL images")),
    (0, b"\xff\x4f\xff\x51", Other("JPEG 2000 images")),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Other("JPEG 2000 images")),
    (0, b"II\xbc", Other("JPEG XR images")),
    (0, b"\0\0\x01\0", Other("ICO images")),
    (0, b"\0\0\x02\0", Other("CUR images")),
    (0, b"8BPS", Other("PSD images")),
    (0, b"gimp xcf", Other("XCF images")),
    (0, b"qoif", Other("QOI images")),
    (0, b"FLIF", Other("FLIF images")),
    (0, b"farbfeld", Other("farbfeld images")),
    (0, b"DDS ", Other("DDS images")),
    (0, b"\x76\x2f\x31\x01", Other("OpenEXR images")),
    (0, b"#?RADIANCE", Other("Radiance HDR images")),
    (0, b"\xd7\xcd\xc6\x9a", Other("WMF images")),
    (40, b" EMF", Other("EMF images")),
    (0, b"AT&TFORM", Other("DjVu documents")),
    (0, b"%PDF-", Other("PDF documents")),
    (0, b"PK\x03\x04", Other("ZIP archives")),
    (0, b"\x1f\x8b", Other("gzip archives")),
    (0, b"\x1aE\xdf\xa3", Other("Matroska and WebM videos")),
    (0, b"data:image/", Other("images in data URLs")),
    (0, b"/9j/", Other("images in base64")),
    (0, b"iVBORw0KGgo", Other("images in base64")),
];

/// Brands of the files that begin with a box `ftyp`; the first is the one that decides.
const BRANDS: [(&[u8], &str); 14] = [
    (b"avif", "AVIF images"),
    (b"avis", "AVIF images"),
    (b"heic", "HEIC images"),
    (b"heix", "HEIC images"),
    (b"heim", "HEIC images"),
    (b"heis", "HEIC images"),
    (b"hevc", "HEIC images"),
    (b"hevx", "HEIC images"),
    (b"hevm", "HEIC images"),
    (b"hevs", "HEIC images"),
    (b"mif1", "HEIF images"),
    (b"msf1", "HEIF images"),
    (b"crx ", "Canon CR3 images"),
    (b"jxl ", "JPEG XL images"),
];

/// How far into a text its first tag may stand, after declarations and comments.
const TAG_WITHIN: usize = 4096;

/// The format of a file that is decoded.
///
/// # Errors
///
/// [`Error::Unsupported`] naming the kind; [`Error::InvalidImage`] for an empty file.
pub(super) fn format(bytes: &[u8]) -> Result<Format, Error> {
    match kind(bytes) {
        Some(Decoded(format)) => Ok(format),
        Some(Other(what)) => Err(Error::Unsupported { what: what.to_owned() }),
        None if bytes.is_empty() => {
            Err(Error::InvalidImage { reason: "the image file is empty; expected a JPEG, PNG or BMP file".into() })
        }
        None => Err(Error::Unsupported { what: "files of an unknown kind".into() }),
    }
}

fn kind(bytes: &[u8]) -> Option<Kind> {
    let stands =
        |(place, magic, _): &&(usize, &[u8], Kind)| bytes.get(*place..).is_some_and(|rest| rest.starts_with(magic));
    MAGIC
        .iter()
        .find(stands)
        .map(|(_, _, kind)| *kind)
        .or_else(|| bmp(bytes))
        .or_else(|| boxed(bytes))
        .or_else(|| text(bytes))
}

/// Two letters begin many texts; the length of a header after them does not.
fn bmp(bytes: &[u8]) -> Option<Kind> {
    let header = bytes.strip_prefix(b"BM")?.get(12..16)?;
    matches!(header, [12..=124, 0, 0, 0]).then_some(Decoded(Format::Bmp))
}

fn boxed(bytes: &[u8]) -> Option<Kind> {
    let brand = bytes.get(4..)?.strip_prefix(b"ftyp")?.get(..4)?;
    let known = BRANDS.iter().find(|(known, _)| *known == brand);
    Some(Other(known.map_or("MP4 and QuickTime videos", |(_, what)| what)))
}

fn text(bytes: &[u8]) -> Option<Kind> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if let [b'P', b'1'..=b'7', space, ..] = text
        && space.is_ascii_whitespace()
    {
        return Some(Other("PBM, PGM, PPM and PAM images"));
    }
    let start = text.get(..text.len().min(TAG_WITHIN))?.to_ascii_lowercase();
    let holds = |tag: &[u8]| memchr::memmem::find(&start, tag).is_some();
    match start.first()? {
        b'<' if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") => Some(Other("HTML pages")),
        b'<' if holds(b"<svg") => Some(Other("SVG images")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_people_send_has_its_name() {
        let cases: [(&[u8], &str); 12] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC images"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF images"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP images"),
            (b"GIF89a\x01\0\x01\0", "GIF images"),
            (b"MM\0*\0\0\0\x08", "TIFF images"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL images"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 images"),
            (b"<?xml version=\"1.0\"?>\n<!-- drawn -->\n<SVG width=\"4\"/>", "SVG images"),
            (b"%PDF-1.7\n", "PDF documents"),
            (b"\0\0\x01\0\x01\0\x10\x10", "ICO images"),
            (b"8BPS\0\x01", "PSD images"),
            (b"<!DOCTYPE html><html><svg/></html>", "HTML pages"),
        ];
        for (bytes, name) in cases {
            let refusal = format(bytes).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("{name} are not supported: ")), "{refusal}");
        }
    }

    #[test]
    fn a_text_that_begins_like_a_bmp_is_none() {
        assert_eq!(kind(b"BMW builds motor cars, among other things."), None);
        assert_eq!(kind(b"BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"), Some(Decoded(Format::Bmp)));
    }
}
