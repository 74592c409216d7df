//! Rows of pixels that are written one by one, each row in a multiple of four bytes.

use super::super::super::Error;
use super::super::colours::over_white;
use super::ended;
use super::header::{Coding, Header, Masks};

pub(super) fn decode(data: &[u8], header: &Header) -> Result<Vec<u8>, Error> {
    let (width, height) = (header.width as usize, header.height as usize);
    let bits = match header.coding {
        Coding::Indices(bits) => bits as usize,
        Coding::Masked { bytes, .. } => bytes * 8,
        Coding::Runs { .. } => 8,
    };
    let used = (width * bits).div_ceil(8);
    let stride = used.next_multiple_of(4);
    // The last row may lack what makes it a multiple.
    let whole = stride.checked_mul(height - 1).and_then(|rows| rows.checked_add(used));
    let data = data.get(..whole.ok_or_else(ended)?).ok_or_else(ended)?;
    let rows = data.chunks(stride).map(|row| &row[..used]);
    let mut rgb = vec![0; width * height * 3];
    let reader = Reader::of(header, rows.clone());
    let places = rgb.chunks_exact_mut(width * 3);
    if header.top_down {
        places.zip(rows).for_each(|(place, row)| reader.read(row, place));
    } else {
        places.rev().zip(rows).for_each(|(place, row)| reader.read(row, place));
    }
    Ok(rgb)
}

/// Reads one row.
enum Reader<'a> {
    Indices(u32, &'a Header),
    /// Bytes a pixel, of which the first three are blue, green and red.
    BlueGreenRed(usize),
    /// Bytes a pixel, and the way to each of its values.
    Masked(usize, [Field; 4]),
}

/// A value inside a pixel.
#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    largest: u32,
}

impl<'a> Reader<'a> {
    fn of(header: &'a Header, rows: impl Iterator<Item = &'a [u8]>) -> Self {
        match header.coding {
            Coding::Indices(bits) => Self::Indices(bits, header),
            Coding::Runs { .. } => Self::Indices(8, header),
            Coding::Masked { bytes: bytes @ 3.., masks: Masks::EIGHT_BITS } => Self::BlueGreenRed(bytes),
            Coding::Masked { bytes, masks: Masks(mut masks) } => {
                let seen = |pixel: &[u8]| value(pixel) & masks[3] != 0;
                if masks[3] != 0 && !rows.flat_map(|row| row.chunks_exact(bytes)).any(seen) {
                    masks[3] = 0;
                }
                Self::Masked(bytes, masks.map(Field::of))
            }
        }
    }

    fn read(&self, row: &[u8], places: &mut [u8]) {
        let places = places.as_chunks_mut::<3>().0.iter_mut();
        match self {
            Self::Indices(bits, header) => {
                let per_byte = 8 / bits;
                let index = |byte: u8, place: u32| (byte >> (8 - bits * (place + 1))) & (u8::MAX >> (8 - bits));
                let indices = row.iter().flat_map(|byte| (0..per_byte).map(move |place| index(*byte, place)));
                places.zip(indices).for_each(|(place, index)| *place = header.palette[usize::from(index)]);
            }
            Self::BlueGreenRed(bytes) => {
                places.zip(row.chunks_exact(*bytes)).for_each(|(place, pixel)| *place = [pixel[2], pixel[1], pixel[0]]);
            }
            Self::Masked(bytes, fields) => {
                let pixels = row.chunks_exact(*bytes).map(value);
                places.zip(pixels).for_each(|(place, pixel)| *place = colour(pixel, fields));
            }
        }
    }
}

impl Field {
    fn of(mask: u32) -> Self {
        let shift = mask.trailing_zeros() % 32;
        Self { shift, largest: mask >> shift }
    }

    /// The value in 0 to 255, as Pillow rounds it; nothing if the pixel has no such value.
    fn read(self, pixel: u32) -> Option<u8> {
        let value = pixel >> self.shift & self.largest;
        (u64::from(value) * 255).checked_div(u64::from(self.largest)).map(|value| value as u8)
    }
}

/// The bytes of a pixel as a number.
fn value(pixel: &[u8]) -> u32 {
    pixel.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn colour(pixel: u32, &[red, green, blue, opacity]: &[Field; 4]) -> [u8; 3] {
    let colour = [red, green, blue].map(|field| field.read(pixel).unwrap_or_default());
    match opacity.read(pixel) {
        Some(opacity) => colour.map(|value| over_white(value, opacity)),
        None => colour,
    }
}
