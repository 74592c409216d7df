//! The entropy-coded bytes of a scan, one restart interval after another.
//!
//! In them `ff` is followed by `00` where it is data, and by a marker where an interval ends. The zeros are taken out in place, so that bits
//! can then be read eight bytes at a time.

use memchr::memchr;

use super::super::super::Error;
use super::damaged;

pub(super) struct Scan<'a> {
    bytes: &'a mut [u8],
    position: usize,
    intervals: u8,
}

impl<'a> Scan<'a> {
    /// The scan that begins at `position`.
    pub(super) fn new(bytes: &'a mut [u8], position: usize) -> Self {
        Self { bytes, position, intervals: 0 }
    }

    /// The next interval's bytes. All but the last must end with the restart marker whose turn it is, and the last with another marker.
    #[inline(never)]
    pub(super) fn interval(&mut self, last: bool) -> Result<&[u8], Error> {
        let start = self.position;
        let (mut read, mut write) = (start, start);
        loop {
            let length =
                memchr(0xff, &self.bytes[read..]).ok_or_else(|| damaged("the file ends before the image does"))?;
            self.bytes.copy_within(read..read + length, write);
            (read, write) = (read + length, write + length);
            // Any number of `ff` may stand before a marker.
            let fill = self.bytes[read..].iter().take_while(|byte| **byte == 0xff).count();
            let marker = self.bytes.get(read + fill).copied().unwrap_or_default();
            read += fill + 1;
            if marker != 0 {
                self.end(marker, last)?;
                self.position = read;
                return Ok(&self.bytes[start..write]);
            }
            self.bytes[write] = 0xff;
            write += 1;
        }
    }

    fn end(&mut self, marker: u8, last: bool) -> Result<(), Error> {
        let expected = 0xd0 + self.intervals % 8;
        self.intervals = self.intervals.wrapping_add(1);
        match marker {
            0xd0..=0xd7 if last => Err(damaged("it has more restart intervals than its size asks for")),
            0xd0..=0xd7 if marker != expected => Err(damaged("its restart markers are out of order")),
            0xd0..=0xd7 => Ok(()),
            _ if last => Ok(()),
            _ => Err(damaged("it has fewer restart intervals than its size asks for")),
        }
    }
}
