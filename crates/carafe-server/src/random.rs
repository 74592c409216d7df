//! Numbers that differ from call to call, for ids and for seeds that nobody gave. Not for secrets.

use std::hash::{BuildHasher, RandomState};

/// A new number.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(0)
}

/// A new seed: below 2^53, so that a JSON reader with floating-point numbers gives it back
/// unharmed.
pub(crate) fn seed() -> u64 {
    number() >> 11
}

/// A new id with this prefix.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}-{:016x}", number())
}
