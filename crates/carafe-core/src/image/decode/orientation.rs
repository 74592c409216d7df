//! How an image is to be turned, as its Exif data say; read as Pillow reads it.

use image::metadata::Orientation;

const MARK: &[u8] = b"Exif\0\0";
const ORIENTATION: u16 = 0x112;

/// The types of the tag's value.
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// Bytes of a directory's entry: tag, type, count, value.
const ENTRY: usize = 12;

/// The orientation in a JPEG segment or a PNG chunk. The mark before the data is there in the one,
/// and in many of the other.
pub(super) fn orientation(mut exif: &[u8]) -> Orientation {
    while let Some(rest) = exif.strip_prefix(MARK) {
        exif = rest;
    }
    let value = match exif.first_chunk() {
        Some(b"II*\0") => tag(exif, u16::from_le_bytes, u32::from_le_bytes),
        Some(b"MM\0*") => tag(exif, u16::from_be_bytes, u32::from_be_bytes),
        _ => None,
    };
    let value = value.and_then(|value| u8::try_from(value).ok());
    value.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// Whether a JPEG application segment holds Exif data.
pub(super) fn is_exif(payload: &[u8]) -> bool {
    payload.starts_with(MARK)
}

/// The tag's value in the first directory.
fn tag(exif: &[u8], short: fn([u8; 2]) -> u16, long: fn([u8; 4]) -> u32) -> Option<u32> {
    let short_at = |bytes: &[u8], place: usize| bytes.get(place..)?.first_chunk().map(|bytes| short(*bytes));
    let long_at = |bytes: &[u8], place: usize| bytes.get(place..)?.first_chunk().map(|bytes| long(*bytes));
    let directory = exif.get(long_at(exif, 4)? as usize..)?;
    let count = usize::from(short_at(directory, 0)?);
    let entries = directory[2..].chunks_exact(ENTRY).take(count);
    let mut found = entries.filter(|entry| short_at(entry, 0) == Some(ORIENTATION) && long_at(entry, 4) == Some(1));
    found.find_map(|entry| match short_at(entry, 2)? {
        SHORT => short_at(entry, 8).map(u32::from),
        LONG => long_at(entry, 8),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn little(kind: u8, value: u8) -> Vec<u8> {
        [&b"II*\0\x08\0\0\0\x01\0\x12\x01"[..], &[kind, 0, 1, 0, 0, 0, value, 0, 0, 0], &[0; 4]].concat()
    }

    #[test]
    fn short_and_long_values_turn_an_image_and_others_do_not() {
        assert_eq!(orientation(&little(3, 6)), Orientation::Rotate90);
        assert_eq!(orientation(&little(4, 6)), Orientation::Rotate90);
        assert_eq!(orientation(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x03"), Orientation::Rotate180);
        for (kind, value) in [(1, 6), (2, 6), (3, 0), (3, 9), (4, 9)] {
            assert_eq!(orientation(&little(kind, value)), Orientation::NoTransforms, "type {kind}, value {value}");
        }
    }

    #[test]
    fn the_mark_may_stand_before_the_data() {
        assert_eq!(orientation(&[MARK, &little(3, 8)].concat()), Orientation::Rotate270);
    }

    #[test]
    fn data_cut_anywhere_turn_nothing() {
        let whole = little(4, 6);
        // What follows the entry is not needed.
        for length in 0..whole.len() - 4 {
            assert_eq!(orientation(&whole[..length]), Orientation::NoTransforms, "{length} bytes");
        }
    }
}
