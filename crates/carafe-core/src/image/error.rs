//! Why an image was refused, or its scores could not be read: one variant for each thing a caller
//! can act on.

use std::fmt::Display;

/// Why an image was refused or not classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is empty, or damaged, or lacks a part of its picture.
    #[error("{reason}")]
    InvalidImage {
        /// What is wrong with it.
        reason: String,
    },
    /// The encoded file is larger than [`super::FILE_LIMIT`].
    #[error("the image file has {bytes} bytes, the limit is {limit}")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// The image would need more memory than it may have.
    #[error("{step} an image of {width} x {height} pixels takes {needed} bytes of memory, the limit is {limit}")]
    TooLarge {
        /// What would need the memory: decoding or resizing.
        step: &'static str,
        /// Width of the image, from its header.
        width: u32,
        /// Height of the image, from its header.
        height: u32,
        /// What the step needs at most.
        needed: u64,
        /// What it may have.
        limit: u64,
    },
    /// The file is of a kind, or in a form, that is not decoded.
    #[error("{what} are not supported: convert the image to an ordinary JPEG, PNG or BMP file")]
    Unsupported {
        /// The form, as a plural noun.
        what: String,
    },
    /// An argument is out of its range.
    #[error("`{name}` is {value}, it must be from {least} to {most}")]
    InvalidArgument {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// The smallest value allowed.
        least: u64,
        /// The largest value allowed.
        most: u64,
    },
    /// The model's description, its labels or its scores do not fit together.
    #[error("{reason}")]
    Model {
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// A damaged file of a known format; `cause` is what its decoder found.
    pub(super) fn damaged(format: &str, cause: impl Display) -> Self {
        Self::InvalidImage { reason: format!("the {format} image is damaged or cut off: {cause}") }
    }

    /// A model that contradicts itself.
    pub(super) fn model(reason: impl Into<String>) -> Self {
        Self::Model { reason: reason.into() }
    }
}
