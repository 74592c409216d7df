//! What decoding an image holds at its peak, judged before it starts.
//!
//! Two moments count: while the decoder runs, its output and its own buffers are alive; while an
//! image is turned by a quarter, the image and its turned copy are.

use super::super::{Error, rgb_bytes};

/// The memory that decoding one image takes, as far as its header tells.
pub(super) struct Need {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bytes of the buffer that the decoder fills; it becomes the RGB image in place.
    pub(super) output: u64,
    /// Bytes that the decoder keeps beside it.
    pub(super) buffers: u64,
    /// Whether the image is copied once more to be turned.
    pub(super) turned: bool,
}

impl Need {
    /// Refuses an image that would pass `limit` bytes, or what one allocation can have.
    pub(super) fn check(&self, limit: u64) -> Result<(), Error> {
        let limit = limit.min(isize::MAX as u64);
        let copy = if self.turned { rgb_bytes(self.width, self.height) } else { 0 };
        let needed = self.output.saturating_add(self.buffers.max(copy));
        if needed > limit {
            return Err(Error::TooLarge { step: "decoding", width: self.width, height: self.height, needed, limit });
        }
        Ok(())
    }
}

/// Bytes of an image with `channels` bytes a pixel, of which at least 3: the buffer becomes RGB
/// where it lies.
pub(super) fn output_bytes(width: u32, height: u32, channels: u64) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(channels.max(3))
}
