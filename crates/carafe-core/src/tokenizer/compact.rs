//! The bytes of the compact form: tables, one after the other, each with its length before it.
//!
//! A host makes the form of `tokenizer.json` when it loads a model and hands it to every guest that
//! it opens; it is never stored. So tables have the byte order of the machine, little-endian on
//! both sides, and reading one is a copy. A reader trusts no length.

use bytemuck::Pod;

use super::TokenizerError;

/// What the form begins with; the last byte is its version.
const MAGIC: [u8; 8] = *b"carafe\0\x01";

/// Writes tables.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A form without tables.
    pub(super) fn new() -> Self {
        Self(MAGIC.to_vec())
    }

    /// Adds a table.
    pub(super) fn table<T: Pod>(&mut self, values: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// The form.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads tables in the order in which they were written.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins with the first table.
    pub(super) fn new(form: &'a [u8]) -> Result<Self, TokenizerError> {
        form.strip_prefix(&MAGIC).map(Self).ok_or(TokenizerError::Compact("it begins otherwise"))
    }

    /// The bytes of the next table.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], TokenizerError> {
        const CUT_OFF: TokenizerError = TokenizerError::Compact("it is cut off");
        let (length, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| CUT_OFF)?;
        let (table, rest) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(table)
    }

    /// The values of the next table.
    pub(super) fn table<T: Pod>(&mut self) -> Result<Vec<T>, TokenizerError> {
        let bytes = self.bytes()?;
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return Err(TokenizerError::Compact("a table ends within a value"));
        }
        let mut values = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut values).copy_from_slice(bytes);
        Ok(values)
    }

    /// Refuses bytes after the last table.
    pub(super) fn finish(self) -> Result<(), TokenizerError> {
        if self.0.is_empty() { Ok(()) } else { Err(TokenizerError::Compact("it goes on after its end")) }
    }
}

/// Refuses a table whose values do not rise, or fall, from 0 to `end`.
pub(super) fn check_ends(ends: &[u32], end: usize) -> Result<(), TokenizerError> {
    if ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == end {
        Ok(())
    } else {
        Err(TokenizerError::Compact("a table's ends are in disorder"))
    }
}
