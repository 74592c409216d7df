//! Element types: those of at most 32 bits that the graphs of known tasks use.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Unsigned 8-bit integers.
    U8,
    /// Signed 32-bit integers.
    I32,
    /// 32-bit floating point numbers.
    F32,
}

impl ElementType {
    /// The type in OpenVINO's words, which are those of manifests: `i32`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::F32 => "f32",
        }
    }

    /// The bytes of one element.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// The bytes of a tensor of these dimensions, or `None` where they pass 64 bits.
    #[must_use]
    pub fn bytes_of(self, dims: &[u32]) -> Option<u64> {
        dims.iter().try_fold(self.size_bytes() as u64, |bytes, &dim| bytes.checked_mul(u64::from(dim)))
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
