//! Sizes in bytes as people write them: `512MiB`, `2GiB`, or a plain number.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find_map(|&(name, shift)| Some((text.strip_suffix(name)?, shift)));
        let (number, shift) = unit.unwrap_or((text, 0));
        let bytes = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
        bytes
            .map(Self)
            .ok_or_else(|| "expected a whole number with KiB, MiB, GiB or TiB, like `2GiB`, or of bytes".to_owned())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |&&(_, shift): &&(&str, u32)| self.0 != 0 && self.0.is_multiple_of(1 << shift);
        match UNITS.iter().rfind(fits) {
            Some((name, shift)) => write!(formatter, "{}{name}", self.0 >> shift),
            None => write!(formatter, "{}", self.0),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_in_binary_units() {
        for (text, bytes) in [("7", 7), ("1KiB", 1 << 10), ("512MiB", 512 << 20), ("2 GiB", 2 << 30), ("3TiB", 3 << 40)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
        assert_eq!([0, 7, 1 << 20, 3 << 29].map(|bytes| Bytes(bytes).to_string()), ["0", "7", "1MiB", "1536MiB"]);
        for text in ["", "GiB", "2GB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
