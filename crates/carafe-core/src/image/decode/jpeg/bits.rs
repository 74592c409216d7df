//! Bits, most significant first.
//!
//! The buffer holds the next bits at its top. Past the end of the data it fills with zeros, which
//! costs no check at each read; whether any of them were used is asked once an interval.

use super::super::super::Error;
use super::damaged;

#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    buffer: u64,
    /// Bits of the buffer that have been filled.
    filled: u32,
    /// Bits that were filled without data.
    invented: u32,
}

/// What is in the buffer at least after [`Bits::fill`]: a code of 16 bits and as many that follow
/// it.
pub(super) const FILLED: u32 = 32;

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, buffer: 0, filled: 0, invented: 0 }
    }

    /// Makes sure of [`FILLED`] bits.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.filled < FILLED {
            match self.data.get(self.position..).and_then(|rest| rest.first_chunk::<8>()) {
                Some(bytes) => {
                    self.buffer |= u64::from_be_bytes(*bytes) >> self.filled;
                    // What was shifted out at the bottom is read again next time.
                    let whole = (63 - self.filled) / 8;
                    self.position += whole as usize;
                    self.filled += whole * 8;
                }
                None => *self = self.filled_at_the_end(),
            }
        }
    }

    /// Takes no reference: only a value that is never borrowed stays in registers.
    #[cold]
    #[inline(never)]
    fn filled_at_the_end(mut self) -> Self {
        while self.filled <= 56 {
            let byte = self.data.get(self.position).copied();
            self.invented += if byte.is_none() { 8 } else { 0 };
            self.position += 1;
            self.buffer |= u64::from(byte.unwrap_or_default()) << (56 - self.filled);
            self.filled += 8;
        }
        self
    }

    /// The next `count` bits, 1 to 32, which stay.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    /// Drops bits that are filled.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.filled = self.filled.wrapping_sub(count);
    }

    /// The next `count` bits, 1 to 16, as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count) as u32;
        self.skip(count);
        bits
    }

    /// The value that follows a code: `count` bits, 1 to 16, of which the first tells the sign.
    #[inline(always)]
    pub(super) fn value(&mut self, count: u32) -> i32 {
        let bits = self.peek(count) as i32;
        self.skip(count);
        if bits >> (count - 1) == 0 { bits - (1 << count) + 1 } else { bits }
    }

    /// Whether all bits that were read were there.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.invented > self.filled {
            return Err(damaged("its data ends before the image does"));
        }
        Ok(())
    }
}
