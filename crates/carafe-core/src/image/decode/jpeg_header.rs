//! Reads a JPEG file's segments without decoding anything: what the frame is, what it needs, where it ends.
//!
//! A JPEG file is a row of segments: `ff`, a marker, and for most markers a length and a payload. A scan (`da`) is followed by
//! entropy-coded bytes in which `ff` is always followed by `00` or by a restart marker, so the next segment can be found
//! without understanding them. The walk is strict: bytes that belong to no segment, a length past the end, or no end marker
//! (`d9`) mean a damaged or cut-off file.

use std::ops::Range;

use image::metadata::Orientation;
use memchr::memchr_iter;

use super::Error;

/// Where the marker stands that every file begins with.
const FILE_START: Range<usize> = 0..2;

/// More segments than any encoder writes; each is remembered by its place.
const SEGMENTS: usize = 4096;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const EXIF: u8 = 0xe1;
const ADOBE: u8 = 0xee;

/// How one component is sampled: blocks of 8 x 8 samples in each unit of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampling {
    pub(super) across: u32,
    pub(super) down: u32,
}

/// The frame header.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) progressive: bool,
    pub(super) components: Vec<Sampling>,
}

/// How a frame is cut into units of `across` x `down` blocks.
pub(super) struct Units {
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) columns: u64,
    pub(super) rows: u64,
}

/// What the segments of one file say.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) frame: Frame,
    /// Components in the first scan; the decoder keeps the whole image's coefficients unless all are there.
    pub(super) first_scan: usize,
    pub(super) orientation: Orientation,
    /// Bytes of entropy-coded data, in all scans.
    pub(super) data: u64,
    /// The bytes that carry the image: everything but comments and application data.
    picture: Vec<Range<usize>>,
}

impl Header {
    /// Walks over all segments up to the end marker.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut walk = Walk { bytes, position: FILE_START.end };
        let mut parts = Parts::default();
        let mut picture = vec![FILE_START];
        for _ in 0..SEGMENTS {
            let start = walk.position;
            let marker = walk.marker()?;
            if marker == END {
                picture.push(start..walk.position);
                return parts.header(picture);
            }
            parts.read(marker, walk.payload(marker)?)?;
            if marker == SCAN {
                parts.data += walk.skip_scan();
            }
            if !matches!(marker, 0xe0..=0xef | 0xfe) || marker == ADOBE {
                picture.push(start..walk.position);
            }
        }
        Err(damaged(&format!("it has more than {SEGMENTS} segments")))
    }

    /// Moves the segments that carry the image together and cuts off the rest: no metadata reaches the decoder, and nothing
    /// after the image's end.
    pub(super) fn keep_picture(&self, bytes: &mut Vec<u8>) {
        let mut end = 0;
        for segment in &self.picture {
            bytes.copy_within(segment.clone(), end);
            end += segment.len();
        }
        bytes.truncate(end);
    }
}

impl Frame {
    /// Units of the image, and the largest sampling factors, which make a unit's size.
    pub(super) fn units(&self) -> Units {
        let across = self.components.iter().map(|sampling| sampling.across).max().unwrap_or(1);
        let down = self.components.iter().map(|sampling| sampling.down).max().unwrap_or(1);
        let (columns, rows) = (self.width.div_ceil(across * 8), self.height.div_ceil(down * 8));
        Units { across, down, columns: u64::from(columns), rows: u64::from(rows) }
    }

    /// Blocks of 8 x 8 samples in a unit, all components together.
    pub(super) fn blocks_in_a_unit(&self) -> u64 {
        self.components.iter().map(|sampling| u64::from(sampling.across * sampling.down)).sum()
    }
}

/// What has been read of a header so far.
#[derive(Default)]
struct Parts {
    frame: Option<Frame>,
    first_scan: Option<usize>,
    orientation: Option<Orientation>,
    data: u64,
}

impl Parts {
    fn read(&mut self, marker: u8, payload: &[u8]) -> Result<(), Error> {
        match marker {
            0xc0..=0xc2 if self.frame.is_some() => return Err(damaged("it has two frames")),
            0xc0..=0xc2 => self.frame = Some(Frame::read(marker, payload)?),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(unsupported("lossless, hierarchical or arithmetic-coded"));
            }
            SCAN => self.first_scan = self.first_scan.or(payload.first().map(|&count| usize::from(count))),
            EXIF => self.orientation = self.orientation.or_else(|| exif_orientation(payload)),
            _ => {}
        }
        Ok(())
    }

    fn header(self, picture: Vec<Range<usize>>) -> Result<Header, Error> {
        let frame = self.frame.ok_or_else(|| damaged("it has no frame"))?;
        let first_scan = self.first_scan.ok_or_else(|| damaged("it has no scan"))?;
        let orientation = self.orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Header { frame, first_scan, orientation, data: self.data, picture })
    }
}

impl Frame {
    fn read(marker: u8, payload: &[u8]) -> Result<Self, Error> {
        let &[precision, h1, h0, w1, w0, count, ref parts @ ..] = payload else {
            return Err(damaged("its frame header is too short"));
        };
        let (height, width) = (u32::from(u16::from_be_bytes([h1, h0])), u32::from(u16::from_be_bytes([w1, w0])));
        match (precision, width, height, count) {
            (8, 1.., 1.., 1 | 3 | 4) => {}
            (8, 1.., 1.., _) => return Err(unsupported(&format!("{count}-channel"))),
            (8, _, _, _) => return Err(damaged(&format!("its size is {width} x {height} pixels"))),
            _ => return Err(unsupported(&format!("{precision}-bit"))),
        }
        if parts.len() != usize::from(count) * 3 {
            return Err(damaged("its frame header has a wrong length"));
        }
        let components = parts.chunks_exact(3).map(|part| Sampling::read(part[1])).collect::<Result<Vec<_>, _>>()?;
        let ordinary = components.iter().all(|sampling| sampling.across <= 2 && sampling.down <= 2);
        let luma_alone = components.iter().skip(1).all(|sampling| (sampling.across, sampling.down) == (1, 1));
        if !ordinary && !luma_alone {
            return Err(unsupported("unusually sampled"));
        }
        Ok(Self { width, height, progressive: marker == 0xc2, components })
    }
}

impl Sampling {
    fn read(byte: u8) -> Result<Self, Error> {
        let sampling = Self { across: u32::from(byte >> 4), down: u32::from(byte & 15) };
        match (sampling.across, sampling.down) {
            (1 | 2 | 4, 1 | 2 | 4) => Ok(sampling),
            (1..=4, 1..=4) => Err(unsupported("unusually sampled")),
            _ => Err(damaged("a colour's sampling factor is not from 1 to 4")),
        }
    }
}

/// A place in the file.
struct Walk<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Walk<'a> {
    /// The next marker; any number of `ff` may stand before it.
    fn marker(&mut self) -> Result<u8, Error> {
        if self.next()? != 0xff {
            return Err(damaged("there are stray bytes between its segments"));
        }
        loop {
            match self.next()? {
                0xff => {}
                marker @ (0xc0..=0xcf | END | SCAN..=0xfe) => return Ok(marker),
                START => return Err(damaged("a second image begins inside it")),
                other => return Err(damaged(&format!("it has an unknown marker `{other:02x}`"))),
            }
        }
    }

    fn payload(&mut self, marker: u8) -> Result<&'a [u8], Error> {
        let length = usize::from(u16::from_be_bytes([self.next()?, self.next()?]));
        let start = self.position;
        let end =
            start + length.checked_sub(2).ok_or_else(|| damaged(&format!("segment `{marker:02x}` has no length")))?;
        self.position = end;
        self.bytes.get(start..end).ok_or_else(ended)
    }

    /// Moves to the first marker after the entropy-coded bytes, or to the end of the file; how far that was.
    fn skip_scan(&mut self) -> u64 {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let is_marker = |place: &usize| rest.get(place + 1).is_some_and(|next| !matches!(next, 0 | 0xd0..=0xd7 | 0xff));
        let marker = memchr_iter(0xff, rest).find(is_marker);
        let length = marker.unwrap_or(rest.len());
        self.position += length;
        length as u64
    }

    fn next(&mut self) -> Result<u8, Error> {
        let byte = self.bytes.get(self.position).copied().ok_or_else(ended)?;
        self.position += 1;
        Ok(byte)
    }
}

fn exif_orientation(payload: &[u8]) -> Option<Orientation> {
    payload.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk)
}

fn damaged(cause: &str) -> Error {
    Error::damaged("JPEG", cause)
}

fn unsupported(kind: &str) -> Error {
    Error::Unsupported { what: format!("{kind} JPEG images") }
}

fn ended() -> Error {
    damaged("the file ends before the image does")
}
