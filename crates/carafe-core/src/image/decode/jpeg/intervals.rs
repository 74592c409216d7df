//! The entropy-coded bytes of a scan, one restart interval after another.
//!
//! In them `ff` is followed by `00` where it is data, and by a marker where an interval ends. The
//! zeros are taken out in place, so that bits can then be read eight bytes at a time.

use memchr::memchr;

use super::super::super::Error;
use super::damaged;
use super::segments::ended;

pub(super) struct Intervals<'a> {
    bytes: &'a mut [u8],
    position: usize,
    /// Where the marker stands that ended the last interval.
    end: usize,
    count: u8,
}

impl<'a> Intervals<'a> {
    /// The intervals of the scan whose data begins at `position`.
    pub(super) fn new(bytes: &'a mut [u8], position: usize) -> Self {
        Self { bytes, position, end: position, count: 0 }
    }

    /// Where the next segment begins, once the last interval has been read.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The next interval's bytes. All but the last must end with the restart marker whose turn it
    /// is, and the last with another marker.
    #[inline(never)]
    pub(super) fn next(&mut self, last: bool) -> Result<&[u8], Error> {
        let start = self.position;
        let (mut read, mut write) = (start, start);
        loop {
            let length = memchr(0xff, &self.bytes[read..]).ok_or_else(ended)?;
            self.bytes.copy_within(read..read + length, write);
            (read, write) = (read + length, write + length);
            // Any number of `ff` may stand before a marker.
            let fill = self.bytes[read..].iter().take_while(|byte| **byte == 0xff).count();
            let marker = self.bytes.get(read + fill).copied().unwrap_or_default();
            read += fill + 1;
            if marker != 0 {
                (self.position, self.end) = (read, read - 2);
                self.check(marker, last)?;
                return Ok(&self.bytes[start..write]);
            }
            self.bytes[write] = 0xff;
            write += 1;
        }
    }

    fn check(&mut self, marker: u8, last: bool) -> Result<(), Error> {
        let expected = 0xd0 + self.count % 8;
        self.count = self.count.wrapping_add(1);
        match marker {
            // Some encoders write a restart marker after the last unit as well.
            0xd0..=0xd7 if last && self.bytes.get(self.position) == Some(&0xff) => Ok(()),
            0xd0..=0xd7 if last => Err(damaged("it has more restart intervals than its size asks for")),
            0xd0..=0xd7 if marker != expected => Err(damaged("its restart markers are out of order")),
            0xd0..=0xd7 => Ok(()),
            _ if last => Ok(()),
            _ => Err(damaged("it has fewer restart intervals than its size asks for")),
        }
    }
}
