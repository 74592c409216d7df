//! What a JPEG file's segments say before anything is decoded: the frame, the colours, how many
//! scans, where the picture is.

use std::ops::Range;

use image::metadata::Orientation;

use super::super::super::Error;
use super::super::orientation::{is_exif, orientation};
use super::frame::{ColourMarks, Colours, Frame};
use super::segments::{ADOBE, END, EXIF, FILE_START, HEIGHT, HUFFMAN, JFIF, SCAN, Segment, end_in_a_segment, scan_end};
use super::{damaged, unsupported};

/// More pieces of a picture, with comments between them, than any encoder writes; each is
/// remembered by its place.
const PIECES: usize = 4096;

/// More scans than any encoder writes; each one is a walk over the whole image.
const SCANS: usize = 64;

/// What the segments of one file say.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) frame: Frame,
    pub(super) colours: Colours,
    pub(super) orientation: Orientation,
    /// Bytes of entropy-coded data, in all scans.
    pub(super) data: u64,
    /// Whether the file defines Huffman tables.
    pub(super) has_codes: bool,
    /// Components in each scan.
    scans: Vec<usize>,
    /// The bytes that carry the image: everything but comments, application data and stray bytes.
    picture: Vec<Range<usize>>,
}

impl Header {
    /// Walks over all segments up to the end marker.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut parts = Parts::default();
        let mut picture = vec![FILE_START];
        let mut position = FILE_START.end;
        loop {
            let segment = Segment::at(bytes, position);
            // libjpeg reads no further than the last scan.
            let end = segment.as_ref().err().filter(|_| parts.data > 0).and(end_in_a_segment(bytes, position));
            let Segment { marker, start, payload } = end.map_or(segment, Ok)?;
            position = payload.end;
            if marker == END {
                keep(&mut picture, start..position)?;
                return parts.header(picture);
            }
            parts.read(marker, &bytes[payload])?;
            if marker == SCAN {
                position = scan_end(bytes, position);
                parts.data += (position - start) as u64;
            }
            if !matches!(marker, 0xe0..=0xef | 0xfe | HEIGHT) {
                keep(&mut picture, start..position)?;
            }
        }
    }

    /// Whether one scan has everything, so that nothing needs to be kept from one scan to the next.
    pub(super) fn is_one_scan(&self) -> bool {
        !self.frame.progressive && self.scans.as_slice() == [self.frame.components.len()]
    }

    /// Moves the segments that carry the image together and cuts off the rest.
    pub(super) fn keep_picture(&self, bytes: &mut Vec<u8>) {
        let mut end = 0;
        for segment in &self.picture {
            bytes.copy_within(segment.clone(), end);
            end += segment.len();
        }
        bytes.truncate(end);
    }
}

/// Adds a segment to the picture's pieces, of which neighbours are one.
fn keep(picture: &mut Vec<Range<usize>>, segment: Range<usize>) -> Result<(), Error> {
    match picture.last_mut() {
        Some(last) if last.end == segment.start => last.end = segment.end,
        _ => picture.push(segment),
    }
    if picture.len() > PIECES {
        return Err(damaged(format!("it is in more than {PIECES} pieces")));
    }
    Ok(())
}

/// What has been read of a header so far.
#[derive(Default)]
struct Parts {
    frame: Option<Frame>,
    marks: ColourMarks,
    orientation: Option<Orientation>,
    data: u64,
    has_codes: bool,
    scans: Vec<usize>,
}

impl Parts {
    fn read(&mut self, marker: u8, payload: &[u8]) -> Result<(), Error> {
        match marker {
            0xc0..=0xc2 if self.frame.is_some() => return Err(damaged("it has two frames")),
            0xc0..=0xc2 => self.frame = Some(Frame::read(marker, payload)?),
            HUFFMAN => self.has_codes = true,
            0xc3..=0xcf => return Err(unsupported("lossless, hierarchical or arithmetic-coded")),
            HEIGHT => self.check_height(payload)?,
            SCAN => self.scan(payload)?,
            // Viewers look for it before the image, and in the first segment of the kind.
            EXIF if self.scans.is_empty() && is_exif(payload) => {
                self.orientation.get_or_insert_with(|| orientation(payload));
            }
            JFIF if self.scans.is_empty() => self.marks.read_jfif(payload),
            ADOBE if self.scans.is_empty() => self.marks.read_adobe(payload),
            _ => {}
        }
        Ok(())
    }

    fn scan(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.scans.len() == SCANS {
            return Err(damaged(format!("it has more than {SCANS} scans")));
        }
        self.scans.push(payload.first().copied().unwrap_or_default().into());
        Ok(())
    }

    /// The height may be said again after the first scan. libjpeg does not look at it; it must be
    /// the same.
    fn check_height(&self, payload: &[u8]) -> Result<(), Error> {
        let height = self.frame.as_ref().map(|frame| frame.height.to_be_bytes());
        match height {
            Some([_, _, high, low]) if !payload.starts_with(&[high, low]) => Err(damaged("it has two heights")),
            _ => Ok(()),
        }
    }

    fn header(self, picture: Vec<Range<usize>>) -> Result<Header, Error> {
        let frame = self.frame.ok_or_else(|| damaged("it has no frame"))?;
        if self.scans.is_empty() {
            return Err(damaged("it has no scan"));
        }
        let colours = self.marks.colours(&frame);
        let orientation = self.orientation.unwrap_or(Orientation::NoTransforms);
        let (data, has_codes, scans) = (self.data, self.has_codes, self.scans);
        Ok(Header { frame, colours, orientation, data, has_codes, scans, picture })
    }
}
