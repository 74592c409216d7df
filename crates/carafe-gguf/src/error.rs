//! Why a file is refused.

use std::io;

use crate::limits::{MAX_DIMENSIONS, MAX_HEADER_BYTES, MAX_TENSORS};

/// Why a file is no GGUF file that can be used. Positions are bytes from the file's beginning.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reader failed.
    #[error("failed to read at byte {position}")]
    Read {
        /// Where.
        position: u64,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The first four bytes are another format's.
    #[error("this is no GGUF file: it begins with {found:?}, and `GGUF` was expected")]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A version that is not known, or a file of a big-endian machine.
    #[error("GGUF version {version} is not known{}; versions 2 and 3 are", if *big_endian { " (the file is big-endian)" } else { "" })]
    Version {
        /// The version as it is read.
        version: u32,
        /// Whether it is a known one with its bytes swapped.
        big_endian: bool,
    },
    /// Something is announced that the file has no room for.
    #[error("{what} at byte {position} takes {needed} bytes or more, and {left} are left in the file")]
    Truncated {
        /// What.
        what: &'static str,
        /// Where.
        position: u64,
        /// Bytes that it takes at least.
        needed: u64,
        /// Bytes from there to the file's end.
        left: u64,
    },
    /// What comes before the tensors' data is longer than that of any model.
    #[error(
        "{what} at byte {position} goes on beyond byte {}, where the tensors' data must have begun",
        MAX_HEADER_BYTES
    )]
    HeaderTooLong {
        /// What.
        what: &'static str,
        /// Where.
        position: u64,
    },
    /// A name or a text is no UTF-8.
    #[error("{what} at byte {position} is not UTF-8")]
    Utf8 {
        /// What.
        what: &'static str,
        /// Where.
        position: u64,
    },
    /// A value's type is not known, or may not stand there.
    #[error("`{key}` has a value of type {found}; expected a type from 0 to 12, and in an array no array")]
    ValueType {
        /// The metadata's name.
        key: String,
        /// The type's number.
        found: u32,
    },
    /// A truth value that is neither 0 nor 1.
    #[error("`{key}` is {found}; a truth value is 0 or 1")]
    Bool {
        /// The metadata's name.
        key: String,
        /// What it is.
        found: u8,
    },
    /// A name that stands there twice.
    #[error("`{name}` is there twice")]
    Twice {
        /// The name of metadata or of a tensor.
        name: String,
    },
    /// Metadata is not as it must be.
    #[error("`{key}` is {found}; expected {expected}")]
    Metadata {
        /// Its name.
        key: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// More tensors than any model has.
    #[error("the file announces {found} tensors; at most {} are read", MAX_TENSORS)]
    TooManyTensors {
        /// How many.
        found: u64,
    },
    /// A tensor is not as it must be.
    #[error("tensor `{name}`: {fault}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        fault: TensorFault,
    },
}

/// What can be wrong with a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorFault {
    /// Too many dimensions.
    #[error("it has {found} dimensions; at most {} are possible", MAX_DIMENSIONS)]
    Dimensions {
        /// How many.
        found: u32,
    },
    /// A type that is not known.
    #[error("its type {found} is not known")]
    Type {
        /// The type's number.
        found: u32,
    },
    /// More elements than can be counted, or none.
    #[error("its dimensions {dims:?} make no number of elements from 1 to 2^63")]
    Elements {
        /// The dimensions.
        dims: Vec<u64>,
    },
    /// Its rows do not consist of whole blocks.
    #[error("its rows have {row} elements, and its type keeps them in blocks of {block}")]
    Row {
        /// Elements of a row.
        row: u64,
        /// Elements of a block.
        block: u64,
    },
    /// It begins where nothing may.
    #[error("its offset {offset} is no multiple of the alignment, {alignment}")]
    Alignment {
        /// Its offset.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// It ends beyond the file.
    #[error("its {size} bytes from byte {start} on end beyond the file, which has {length}")]
    Beyond {
        /// Where it begins.
        start: u64,
        /// Its size.
        size: u64,
        /// The file's length.
        length: u64,
    },
    /// It lies over another.
    #[error("it lies over tensor `{other}`")]
    Overlap {
        /// The other tensor.
        other: String,
    },
}
