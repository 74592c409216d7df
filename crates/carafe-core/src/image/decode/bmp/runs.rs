//! Rows of indices written as runs (RLE8 and RLE4), from the lowest row upwards.
//!
//! A pair of bytes is a count and an index to repeat (for RLE4 two indices in turn). A count of 0
//! announces something else: the end of a row (0), of the image (1), a jump to the right and
//! upwards (2), or a number of single indices.

use super::super::super::Error;
use super::ended;
use super::header::Header;

pub(super) fn decode(data: &[u8], header: &Header, half_bytes: bool) -> Result<Vec<u8>, Error> {
    let (width, height) = (header.width as usize, header.height as usize);
    let mut rgb = vec![0; width * height * 3];
    // What the runs leave out has colour 0.
    rgb.as_chunks_mut::<3>().0.fill(header.palette[0]);
    let mut canvas = Canvas { rgb: &mut rgb, header, x: 0, y: 0 };
    let mut data = data.iter().copied();
    let mut next = || data.next();
    // Without its end mark an image ends with its last row.
    while let (Some(count), Some(value)) = (next(), next()) {
        match (count, value) {
            (0, 0) => canvas.end_row(),
            (0, 1) => return Ok(rgb),
            (0, 2) => {
                let (right, up) = (next().ok_or_else(ended)?, next().ok_or_else(ended)?);
                (canvas.x, canvas.y) = (canvas.x + usize::from(right), canvas.y + usize::from(up));
            }
            (0, count) => {
                let bytes = if half_bytes { count.div_ceil(2) } else { count };
                for place in 0..bytes {
                    let byte = next().ok_or_else(ended)?;
                    let indices = if half_bytes { [byte >> 4, byte & 15] } else { [byte; 2] };
                    let used = if half_bytes { (count - place * 2).min(2) } else { 1 };
                    indices.iter().take(used.into()).for_each(|index| canvas.put(*index));
                }
                // Single indices take an even number of bytes.
                if bytes % 2 == 1 {
                    next();
                }
            }
            (count, value) => {
                let indices = if half_bytes { [value >> 4, value & 15] } else { [value; 2] };
                (0..count).for_each(|place| canvas.put(indices[usize::from(place % 2)]));
            }
        }
    }
    if canvas.is_full() { Ok(rgb) } else { Err(ended()) }
}

/// The image, and where the next pixel goes: `y` counts from the lowest row.
struct Canvas<'a> {
    rgb: &'a mut [u8],
    header: &'a Header,
    x: usize,
    y: usize,
}

impl Canvas<'_> {
    /// Puts a pixel. Beyond the end of its row, and above the highest, it is dropped, as viewers
    /// do.
    fn put(&mut self, index: u8) {
        let (width, height) = (self.header.width as usize, self.header.height as usize);
        if self.y < height && self.x < width {
            let place = (height - 1 - self.y) * width + self.x;
            self.rgb.as_chunks_mut::<3>().0[place] = self.header.palette[usize::from(index)];
        }
        self.x += 1;
    }

    fn end_row(&mut self) {
        (self.x, self.y) = (0, self.y + 1);
    }

    fn is_full(&self) -> bool {
        let (width, height) = (self.header.width as usize, self.header.height as usize);
        self.y >= height || (self.y + 1 == height && self.x >= width)
    }
}
