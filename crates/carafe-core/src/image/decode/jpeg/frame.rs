//! The frame header: the image's size, its components and how they are sampled; and what their
//! values mean.

use super::super::super::Error;
use super::{damaged, unsupported};

/// One component: its blocks of 8 x 8 samples in each unit of the image, and the number of its
/// table of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) steps: u8,
}

/// The frame header.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
}

/// How a frame is cut into units of `across` x `down` blocks.
pub(super) struct Units {
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) columns: u64,
    pub(super) rows: u64,
}

impl Frame {
    pub(super) fn read(marker: u8, payload: &[u8]) -> Result<Self, Error> {
        let &[precision, h1, h0, w1, w0, count, ref parts @ ..] = payload else {
            return Err(damaged("its frame header is too short"));
        };
        let (height, width) = (u32::from(u16::from_be_bytes([h1, h0])), u32::from(u16::from_be_bytes([w1, w0])));
        match (precision, width, height, count) {
            (8, 1.., 1.., 1 | 3 | 4) => {}
            (8, 1.., 1.., _) => return Err(unsupported(format!("{count}-channel"))),
            (8, _, _, _) => return Err(damaged(format!("its size is {width} x {height} pixels"))),
            _ => return Err(unsupported(format!("{precision}-bit"))),
        }
        let (parts, rest) = parts.as_chunks();
        if parts.len() != usize::from(count) || !rest.is_empty() {
            return Err(damaged("its frame header has a wrong length"));
        }
        let mut components = parts.iter().map(Component::read).collect::<Result<Vec<_>, _>>()?;
        if let [alone] = components.as_mut_slice() {
            // A component that is alone has one block in a unit, whatever it says.
            (alone.across, alone.down) = (1, 1);
        }
        let frame = Self { width, height, progressive: marker == 0xc2, components };
        frame.check_sampling()?;
        Ok(frame)
    }

    /// Every component must have a whole part of the image's samples, as libjpeg asks too.
    fn check_sampling(&self) -> Result<(), Error> {
        let Units { across, down, .. } = self.units();
        let whole =
            |component: &Component| across.is_multiple_of(component.across) && down.is_multiple_of(component.down);
        if self.components.iter().all(whole) { Ok(()) } else { Err(unsupported("unusually sampled")) }
    }

    /// Units of the image, and the largest sampling factors, which make a unit's size.
    pub(super) fn units(&self) -> Units {
        let across = self.components.iter().map(|component| component.across).max().unwrap_or(1);
        let down = self.components.iter().map(|component| component.down).max().unwrap_or(1);
        let (columns, rows) = (self.width.div_ceil(across * 8), self.height.div_ceil(down * 8));
        Units { across, down, columns: u64::from(columns), rows: u64::from(rows) }
    }

    /// Blocks of 8 x 8 samples in a unit, all components together.
    pub(super) fn blocks_in_a_unit(&self) -> u64 {
        self.components.iter().map(|component| u64::from(component.across * component.down)).sum()
    }
}

impl Component {
    fn read(&[id, sampling, steps]: &[u8; 3]) -> Result<Self, Error> {
        let (across, down) = (u32::from(sampling >> 4), u32::from(sampling & 15));
        if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
            return Err(damaged("a colour's sampling factor is not from 1 to 4"));
        }
        Ok(Self { id, across, down, steps })
    }
}

/// What the components' values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Inverted inks, as every writer stores them.
    Cmyk,
    /// The same, of which the first three are as luma and colour differences.
    Ycck,
}

/// What application segments say of the colours.
#[derive(Debug, Default)]
pub(super) struct ColourMarks {
    jfif: bool,
    adobe: Option<u8>,
}

impl ColourMarks {
    pub(super) fn read_jfif(&mut self, payload: &[u8]) {
        self.jfif |= payload.len() >= 14 && payload.starts_with(b"JFIF\0");
    }

    pub(super) fn read_adobe(&mut self, payload: &[u8]) {
        if payload.len() >= 12 && payload.starts_with(b"Adobe") {
            self.adobe = Some(payload[11]);
        }
    }

    /// libjpeg's rule (`jdapimin.c`), unknown transforms included.
    pub(super) fn colours(&self, frame: &Frame) -> Colours {
        let ids = frame.components.iter().map(|component| component.id);
        match (frame.components.len(), self.adobe) {
            (1, _) => Colours::Grey,
            (3, _) if self.jfif => Colours::YCbCr,
            (3, Some(0)) => Colours::Rgb,
            (3, None) if ids.eq(*b"RGB") => Colours::Rgb,
            (3, _) => Colours::YCbCr,
            (_, None | Some(0)) => Colours::Cmyk,
            (_, Some(_)) => Colours::Ycck,
        }
    }
}
