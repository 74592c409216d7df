//! The segments of a JPEG file: `ff`, a marker, and for most markers a length and a payload.
//!
//! A scan (`da`) is followed by entropy-coded bytes, in which `ff` is always followed by `00` or by
//! a restart marker, so the next segment can be found without understanding them. Bytes that belong
//! to no segment are passed over, as libjpeg passes over them: the picture is complete without
//! them, or what it lacks is missed later.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use super::super::super::Error;
use super::damaged;

/// Where the marker stands that every file begins with.
pub(super) const FILE_START: Range<usize> = 0..2;

pub(super) const START: u8 = 0xd8;
pub(super) const END: u8 = 0xd9;
pub(super) const SCAN: u8 = 0xda;
pub(super) const QUANTISATION: u8 = 0xdb;
pub(super) const HEIGHT: u8 = 0xdc;
pub(super) const RESTART: u8 = 0xdd;
pub(super) const HUFFMAN: u8 = 0xc4;
pub(super) const JFIF: u8 = 0xe0;
pub(super) const EXIF: u8 = 0xe1;
pub(super) const ADOBE: u8 = 0xee;

/// Where a segment and its payload are.
pub(super) struct Segment {
    pub(super) marker: u8,
    /// The place of the marker's `ff`.
    pub(super) start: usize,
    pub(super) payload: Range<usize>,
}

impl Segment {
    /// The first segment at or after `position`. The end marker has an empty payload.
    pub(super) fn at(bytes: &[u8], mut position: usize) -> Result<Self, Error> {
        loop {
            let rest = bytes.get(position..).unwrap_or_default();
            // Any number of `ff` may stand before a marker.
            let stray = memchr(0xff, rest).ok_or_else(ended)?;
            let fill = rest[stray..].iter().take_while(|byte| **byte == 0xff).count();
            let marker = *rest.get(stray + fill).ok_or_else(ended)?;
            position += stray + fill + 1;
            match marker {
                // Data, and markers that are nothing but markers, as if they stood in a scan.
                0x00 | 0x01 | 0xd0..=0xd7 => {}
                START => return Err(damaged("a second image begins inside it")),
                END => return Ok(Self { marker, start: position - 2, payload: position..position }),
                0xc0..=0xcf | SCAN..=RESTART | 0xe0..=0xef | 0xfe => return Self::with_length(bytes, marker, position),
                other => return Err(damaged(format!("it has an unknown marker `{other:02x}`"))),
            }
        }
    }

    fn with_length(bytes: &[u8], marker: u8, position: usize) -> Result<Self, Error> {
        let length = bytes.get(position..).and_then(|rest| rest.first_chunk()).ok_or_else(ended)?;
        let start = position + 2;
        // A length without its own two bytes is that of an empty segment.
        let payload = start..start + usize::from(u16::from_be_bytes(*length)).saturating_sub(2);
        if payload.end > bytes.len() {
            return Err(ended());
        }
        Ok(Self { marker, start: position - 2, payload })
    }
}

/// Where the entropy-coded bytes at `position` end: at the first marker, or with the file.
pub(super) fn scan_end(bytes: &[u8], position: usize) -> usize {
    let rest = bytes.get(position..).unwrap_or_default();
    let is_marker = |place: &usize| rest.get(place + 1).is_some_and(|next| !matches!(next, 0 | 0xd0..=0xd7 | 0xff));
    position + memchr_iter(0xff, rest).find(is_marker).unwrap_or(rest.len())
}

/// The end marker inside a comment or application segment at `position` whose length is past the
/// end of the file: the length is wrong, and a file that is cut off has no end marker.
pub(super) fn end_in_a_segment(bytes: &[u8], position: usize) -> Option<Segment> {
    let rest = bytes.get(position..)?;
    let [0xff, 0xe0..=0xef | 0xfe, ..] = rest else { return None };
    let start = position + memmem::rfind(rest, &[0xff, END])?;
    Some(Segment { marker: END, start, payload: start + 2..start + 2 })
}

pub(super) fn ended() -> Error {
    damaged("the file ends before the image does")
}
