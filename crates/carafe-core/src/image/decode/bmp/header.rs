//! The headers of a BMP file, its masks and its palette.

use super::super::super::Error;
use super::{damaged, ended, unsupported};

/// Bytes of the file's own header.
const FILE_HEADER: usize = 14;

/// Bytes of the first OS/2 header, whose sizes have 16 bits and whose colours have no fourth byte.
const CORE: usize = 12;

/// Bytes of the first Windows header; masks follow it where later ones hold them.
const INFO: usize = 40;

/// Bytes of the second OS/2 header, whose numbers of compression mean something else.
const OS2: usize = 64;

pub(super) type Colour = [u8; 3];

/// What the headers say.
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) top_down: bool,
    pub(super) coding: Coding,
    /// Black where the file has no colour for an index.
    pub(super) palette: [Colour; 256],
    /// Where the pixels begin.
    pub(super) data: usize,
}

/// How pixels are written.
pub(super) enum Coding {
    /// Indices of this many bits.
    Indices(u32),
    /// Runs of indices of eight bits, or of four.
    Runs { half_bytes: bool },
    /// Colours of this many bytes.
    Masked { bytes: usize, masks: Masks },
}

/// Where red, green, blue and opacity are in a pixel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Masks(pub(super) [u32; 4]);

impl Masks {
    const FIVE_BITS: Self = Self([0x7c00, 0x3e0, 0x1f, 0]);
    /// As most files have them: bytes in the order blue, green, red.
    pub(super) const EIGHT_BITS: Self = Self([0x00ff_0000, 0xff00, 0xff, 0]);

    /// Drops an opacity that only 32 bits have room for, where it does not fit fewer: viewers do
    /// not look at it there.
    fn without_stray_opacity(self, bits: u32) -> Self {
        let [red, green, blue, _] = self.0;
        let stray = bits < 32 && self.check(bits).is_err();
        Self(if stray { [red, green, blue, 0] } else { self.0 })
    }

    fn check(self, bits: u32) -> Result<Self, Error> {
        let whole = |mask: u32| {
            let ones = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
            ones & ones.wrapping_add(1) == 0 && u64::from(mask) < 1 << bits
        };
        let [red, green, blue, opacity] = self.0;
        let overlap = red & green | (red | green) & blue | (red | green | blue) & opacity;
        let colourless = red | green | blue == 0;
        if overlap != 0 || colourless || !self.0.into_iter().all(whole) {
            return Err(damaged("its colour masks do not fit a pixel"));
        }
        Ok(self)
    }
}

/// The fields that all headers have in some form.
struct Fields {
    width: i32,
    height: i32,
    bits: u32,
    compression: u32,
    colours: u32,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let size = number(bytes, FILE_HEADER)? as usize;
        if !matches!(size, CORE | INFO | 52 | 56 | OS2 | 108 | 124) {
            return Err(unsupported(format!("{size}-byte-header")));
        }
        let fields = Fields::read(bytes, size)?;
        let (width, height, top_down) = fields.sides()?;
        let mut end = FILE_HEADER + size;
        let coding = fields.coding(bytes, size, &mut end)?;
        if top_down && matches!(coding, Coding::Runs { .. }) {
            return Err(damaged("run lengths cannot go downwards"));
        }
        let data = match number(bytes, 10)? as usize {
            0 => None,
            data if data < end => return Err(damaged("its pixels begin inside its header")),
            data => Some(data),
        };
        let entry = if size == CORE { 3 } else { 4 };
        let entries = fields.palette_length();
        let palette_end = end.saturating_add(entries.saturating_mul(entry));
        let stored = bytes.get(end..data.unwrap_or(palette_end).min(palette_end).min(bytes.len())).unwrap_or_default();
        let mut palette = [[0; 3]; 256];
        for (colour, entry) in palette.iter_mut().zip(stored.chunks_exact(entry)).take(1 << fields.bits.min(8)) {
            *colour = [entry[2], entry[1], entry[0]];
        }
        Ok(Self { width, height, top_down, coding, palette, data: data.unwrap_or(palette_end) })
    }
}

impl Fields {
    fn read(bytes: &[u8], size: usize) -> Result<Self, Error> {
        let at = |offset: usize| number(bytes, FILE_HEADER + offset);
        if size == CORE {
            let (sides, bits) = (at(4)?, at(8)? >> 16);
            let (width, height) = ((sides & 0xffff) as i32, (sides >> 16) as i32);
            return Ok(Self { width, height, bits, compression: 0, colours: 0 });
        }
        let (width, height) = (at(4)? as i32, at(8)? as i32);
        Ok(Self { width, height, bits: at(12)? >> 16, compression: at(16)?, colours: at(32)? })
    }

    /// Width and height, and whether the first row is the uppermost.
    fn sides(&self) -> Result<(u32, u32, bool), Error> {
        let (width, height) = (self.width, self.height);
        match (u32::try_from(width), height.unsigned_abs()) {
            (Ok(width @ 1..), height @ 1..) => Ok((width, height, self.height < 0)),
            _ => Err(damaged(format!("its size is {width} x {height} pixels"))),
        }
    }

    /// How pixels are written; moves `end` behind masks that follow the header.
    fn coding(&self, bytes: &[u8], size: usize, end: &mut usize) -> Result<Coding, Error> {
        let masked = |masks| Coding::Masked { bytes: self.bits as usize / 8, masks };
        match (self.compression, self.bits) {
            (0, 1 | 2 | 4 | 8) => Ok(Coding::Indices(self.bits)),
            (0, 16) => Ok(masked(Masks::FIVE_BITS)),
            (0, 24 | 32) => Ok(masked(Masks::EIGHT_BITS)),
            (1, 8) => Ok(Coding::Runs { half_bytes: false }),
            (2, 4) => Ok(Coding::Runs { half_bytes: true }),
            (3 | 6, 16 | 24 | 32) if size != OS2 => Ok(masked(self.masks(bytes, size, end)?)),
            (compression, bits) => Err(unsupported(format!("{bits}-bit compression-{compression}"))),
        }
    }

    fn masks(&self, bytes: &[u8], size: usize, end: &mut usize) -> Result<Masks, Error> {
        let start = FILE_HEADER + INFO;
        let with_opacity = size >= 56 || self.compression == 6;
        let at = |index: usize| number(bytes, start + index * 4);
        let masks = Masks([at(0)?, at(1)?, at(2)?, if with_opacity { at(3)? } else { 0 }]);
        *end = (*end).max(start + if with_opacity { 16 } else { 12 });
        masks.without_stray_opacity(self.bits).check(self.bits)
    }

    /// Colours in the palette. A file without indices may have one too, which is passed over.
    fn palette_length(&self) -> usize {
        match (self.colours, self.bits) {
            (0, 1..=8) => 1 << self.bits,
            (colours, _) => colours as usize,
        }
    }
}

fn number(bytes: &[u8], place: usize) -> Result<u32, Error> {
    let number = bytes.get(place..).and_then(|rest| rest.first_chunk());
    number.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(ended)
}
