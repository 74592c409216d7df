//! API keys: who may use the models.
//!
//! Only digests are kept, and they are compared in constant time, all of them at every look-up:
//! neither the time taken nor a dump of this memory tells anything of a key.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The shortest key that is taken: anything shorter can be guessed.
const SHORTEST: usize = 16;

/// The keys that are accepted; with none, no key is asked for.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

/// Why a list of keys was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file that was to protect the server protects nothing.
    #[error("there is no key in it; give one a line")]
    Empty,
    /// A key that can be guessed.
    #[error("the key in line {line} has {length} characters; it must have at least {SHORTEST}")]
    Short {
        /// Line, from 1.
        line: usize,
        /// Its length.
        length: usize,
    },
    /// A key that no header can carry.
    #[error("the key in line {line} holds a character that is not printable ASCII")]
    Character {
        /// Line, from 1.
        line: usize,
    },
}

impl ApiKeys {
    /// Reads keys, one a line; empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// [`KeyError`] says which line is at fault.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, key)| !key.is_empty() && !key.starts_with('#'));
        let digests = keys.map(|(index, key)| check(index + 1, key).map(|()| digest(key)));
        match digests.collect::<Result<Vec<_>, _>>()? {
            digests if digests.is_empty() => Err(KeyError::Empty),
            digests => Ok(Self(digests)),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether it is one of them.
    pub(crate) fn accepts(&self, key: &str) -> bool {
        let given = digest(key);
        self.0.iter().fold(Choice::from(0), |found, digest| found | digest[..].ct_eq(&given[..])).into()
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} keys", self.count())
    }
}

fn check(line: usize, key: &str) -> Result<(), KeyError> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyError::Character { line });
    }
    if key.len() < SHORTEST { Err(KeyError::Short { line, length: key.len() }) } else { Ok(()) }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_a_file_is_accepted_and_nothing_else() {
        let keys =
            ApiKeys::parse("# for the tests\nfirst-key-0123456789\n\nsecond-key-0123456789\n").expect("two keys");
        assert_eq!(keys.count(), 2);
        assert!(keys.accepts("first-key-0123456789") && keys.accepts("second-key-0123456789"));
        assert!(!keys.accepts("") && !keys.accepts("first-key-012345678") && !keys.accepts("# for the tests"));
    }

    #[test]
    fn a_file_that_protects_nothing_is_refused() {
        assert!(matches!(ApiKeys::parse("\n# no key\n"), Err(KeyError::Empty)));
        assert!(matches!(ApiKeys::parse("\nshort"), Err(KeyError::Short { line: 2, length: 5 })));
        assert!(matches!(ApiKeys::parse("a key with spaces in it"), Err(KeyError::Character { line: 1 })));
    }
}
