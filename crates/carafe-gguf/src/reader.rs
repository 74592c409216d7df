//! Numbers, texts and counts out of a file whose length is known.

use std::io::{ErrorKind, Read};

use crate::error::Error;
use crate::limits::MAX_HEADER_BYTES;

/// A reader that knows where it is and how much is left.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    inner: R,
    position: u64,
    length: u64,
}

impl<R: Read> Reader<R> {
    /// A reader of a file of `length` bytes, from its beginning.
    pub(crate) fn new(inner: R, length: u64) -> Self {
        Self { inner, position: 0, length }
    }

    /// Bytes from the file's beginning.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Refuses what takes more bytes than are left.
    pub(crate) fn check_room(&self, what: &'static str, needed: u64) -> Result<(), Error> {
        let (position, left) = (self.position, self.length - self.position);
        if needed > left {
            return Err(Error::Truncated { what, position, needed, left });
        }
        if needed > MAX_HEADER_BYTES.saturating_sub(position) {
            return Err(Error::HeaderTooLong { what, position });
        }
        Ok(())
    }

    /// The next bytes of a number.
    pub(crate) fn bytes<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(what, &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.bytes(what).map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    /// A text: its length, then its bytes.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, Error> {
        let length = self.u64(what)?;
        self.check_room(what, length)?;
        let position = self.position;
        // It fits into the file; whether it fits into memory, the allocation says.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.fill(what, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| Error::Utf8 { what, position })
    }

    fn fill(&mut self, what: &'static str, bytes: &mut [u8]) -> Result<(), Error> {
        let needed = bytes.len() as u64;
        self.check_room(what, needed)?;
        self.inner.read_exact(bytes).map_err(|source| match source.kind() {
            // The file is shorter than it was said to be.
            ErrorKind::UnexpectedEof => Error::Truncated { what, position: self.position, needed, left: 0 },
            _ => Error::Read { position: self.position, source },
        })?;
        self.position += needed;
        Ok(())
    }
}
