//! API keys: who may use the models, and how much of them.
//!
//! Only digests are kept, and they are compared in constant time, all of them at every look-up:
//! neither the time taken nor a dump of this memory tells anything of a key. For the same reason an
//! error names a line of the file and never repeats what stands in it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::SplitWhitespace;

use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// The shortest key that is taken: anything shorter can be guessed.
const SHORTEST: usize = 16;

/// The limits that a line may give its key, as they are spelt there.
const SEQUENCES: &str = "sequences";
const TOKENS_PER_MINUTE: &str = "tokens_per_minute";

/// The keys that are accepted; with none, no key is asked for.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    digest: [u8; 32],
    limits: KeyLimits,
}

/// What one key may use; nothing bounds what is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyLimits {
    /// Sequences or images that run or wait at one time, over all models.
    pub sequences: Option<NonZeroU32>,
    /// Tokens of prompts and generated ones.
    pub tokens_per_minute: Option<NonZeroU32>,
}

/// Why a list of keys was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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
    /// A line whose key was forgotten, or the order of its parts.
    #[error("line {line} begins with a limit; expected its key, then its limits, separated by spaces")]
    NoKey {
        /// Line, from 1.
        line: usize,
    },
    /// Something behind a key that is no limit: it may be a part of the key.
    #[error(
        "line {line} goes on after its key with something else than limits; expected `{SEQUENCES}=N` or \
         `{TOKENS_PER_MINUTE}=N`, separated by spaces, no space in the key, and comments in lines of their own"
    )]
    UnknownLimit {
        /// Line, from 1.
        line: usize,
    },
    /// A limit that is no number, or 0.
    #[error("the limit `{limit}` in line {line} is not as it must be; expected a whole number from 1 to {}", u32::MAX)]
    Limit {
        /// Line, from 1.
        line: usize,
        /// The limit's name.
        limit: &'static str,
    },
    /// A limit that a line gives twice.
    #[error("line {line} gives the limit `{limit}` twice; give it once")]
    LimitTwice {
        /// Line, from 1.
        line: usize,
        /// The limit's name.
        limit: &'static str,
    },
    /// A key that stands in two lines, whose limits would both be its own.
    #[error("line {line} has the same key as line {first}; give each key once")]
    KeyTwice {
        /// Line, from 1.
        line: usize,
        /// The line that has it before.
        first: usize,
    },
}

impl ApiKeys {
    /// Reads keys, one a line, each with its limits behind it, separated by spaces: `sequences=4`
    /// and `tokens_per_minute=20000`. Empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// [`KeyError`] says which line is at fault.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let keys = lines.map(|(line, text)| Ok((line, Key::parse(line, text)?))).collect::<Result<Vec<_>, _>>()?;
        check_different(&keys)?;
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys.into_iter().map(|(_, key)| key).collect())) }
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of a key, from 1 in the order of the file; none if it is not one of them.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let given = digest(key);
        let mut found = 0;
        for (number, key) in (1..).zip(&self.0) {
            u64::conditional_assign(&mut found, &number, key.digest[..].ct_eq(&given[..]));
        }
        Some(found).filter(|number| *number > 0)
    }

    /// The limits of each key, in the order of their numbers.
    pub fn limits(&self) -> impl Iterator<Item = KeyLimits> {
        self.0.iter().map(|key| key.limits)
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} keys", self.count())
    }
}

impl Key {
    /// Reads a line that is not empty.
    fn parse(line: usize, text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_whitespace();
        let key = words.next().unwrap_or_default();
        if limit(key).is_some() {
            return Err(KeyError::NoKey { line });
        }
        // Limits go first: a space in a key makes two faults, and this one names it.
        let limits = KeyLimits::parse(line, words)?;
        check(line, key)?;
        Ok(Self { digest: digest(key), limits })
    }
}

impl KeyLimits {
    fn parse(line: usize, words: SplitWhitespace<'_>) -> Result<Self, KeyError> {
        let mut limits = Self::default();
        for word in words {
            let (limit, number) = limit(word).ok_or(KeyError::UnknownLimit { line })?;
            let value = if limit == SEQUENCES { &mut limits.sequences } else { &mut limits.tokens_per_minute };
            if value.replace(whole_number(number).ok_or(KeyError::Limit { line, limit })?).is_some() {
                return Err(KeyError::LimitTwice { line, limit });
            }
        }
        Ok(limits)
    }
}

/// The name of a limit, and what it is set to; none if a word sets none.
fn limit(word: &str) -> Option<(&'static str, &str)> {
    let (name, number) = word.split_once('=')?;
    [SEQUENCES, TOKENS_PER_MINUTE].into_iter().find(|limit| *limit == name).map(|limit| (limit, number))
}

/// A number of at least 1 in digits alone: Rust would also read a sign.
fn whole_number(text: &str) -> Option<NonZeroU32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn check(line: usize, key: &str) -> Result<(), KeyError> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyError::Character { line });
    }
    if key.len() < SHORTEST { Err(KeyError::Short { line, length: key.len() }) } else { Ok(()) }
}

/// Refuses a key that stands in two lines. Nobody times the start, so that digests are just
/// compared.
fn check_different(keys: &[(usize, Key)]) -> Result<(), KeyError> {
    for (index, (line, key)) in keys.iter().enumerate() {
        if let Some((first, _)) = keys[..index].iter().find(|(_, earlier)| earlier.digest == key.digest) {
            return Err(KeyError::KeyTwice { line: *line, first: *first });
        }
    }
    Ok(())
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-key-0123456789";
    const SECOND: &str = "second-key-0123456789";

    /// What is said of a file of keys.
    fn refusal(text: &str) -> KeyError {
        ApiKeys::parse(text).expect_err("it is refused")
    }

    #[test]
    fn each_key_of_a_file_has_its_number_and_nothing_else_has_one() {
        let keys = ApiKeys::parse(&format!("# for the tests\n{FIRST}\n\n{SECOND} sequences=4\n")).expect("two keys");
        assert_eq!(keys.count(), 2);
        assert_eq!((keys.number(FIRST), keys.number(SECOND)), (Some(1), Some(2)));
        for other in ["", "first-key-012345678", "# for the tests", "second-key-0123456789 sequences=4", "sequences=4"]
        {
            assert_eq!(keys.number(other), None, "{other}");
        }
    }

    #[test]
    fn a_line_gives_its_key_the_limits_that_stand_behind_it() {
        let limits = |sequences, tokens_per_minute| KeyLimits {
            sequences: NonZeroU32::new(sequences),
            tokens_per_minute: NonZeroU32::new(tokens_per_minute),
        };
        for (words, expected) in [
            ("", limits(0, 0)),
            (" sequences=4", limits(4, 0)),
            ("\ttokens_per_minute=20000 ", limits(0, 20_000)),
            ("  tokens_per_minute=1  sequences=4294967295", limits(u32::MAX, 1)),
        ] {
            let keys = ApiKeys::parse(&format!("{FIRST}{words}")).expect("one key");
            assert_eq!(keys.limits().collect::<Vec<_>>(), [expected], "{words}");
        }
    }

    #[test]
    fn a_limit_that_is_not_as_it_must_be_is_refused_by_its_line() {
        for number in ["", "0", "-1", "+4", "4.0", "4k", "4294967296", "=4"] {
            let text = format!("\n{FIRST} sequences={number}");
            assert_eq!(refusal(&text), KeyError::Limit { line: 2, limit: "sequences" }, "{number}");
        }
        for word in ["tokens", "sequence=4", "Sequences=4", "sequences", "sequences:4", "=4", "4", "sequences=1,x=2"] {
            let error = refusal(&format!("{FIRST} {word}"));
            assert!(matches!(error, KeyError::UnknownLimit { line: 1 } | KeyError::Limit { line: 1, .. }), "{word}");
        }
        let twice = refusal(&format!("{FIRST} tokens_per_minute=1 sequences=2 tokens_per_minute=1"));
        assert_eq!(twice, KeyError::LimitTwice { line: 1, limit: "tokens_per_minute" });
        assert_eq!(refusal("tokens_per_minute=20000 sequences=1"), KeyError::NoKey { line: 1 });
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_by_both_lines() {
        let text = format!("# two\n{FIRST}\n{SECOND}\n{FIRST} sequences=4");
        assert_eq!(refusal(&text), KeyError::KeyTwice { line: 4, first: 2 });
    }

    #[test]
    fn an_error_never_repeats_what_stands_in_a_line() {
        for line in [
            "secret",
            "secret-key-0123456789 secret",
            "secret-key-0123456789 sequences=secret",
            "secret-key-0123456789 secret=4",
            "sequences=secret",
            "secret-key-0123456789 sequences=1 sequences=2",
            "secret-key-0123456789\nsecret-key-0123456789",
            "secret-kéy-0123456789",
        ] {
            let error = refusal(line);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_that_protects_nothing_is_refused() {
        assert_eq!(refusal("\n# no key\n"), KeyError::Empty);
        assert_eq!(refusal("\nshort"), KeyError::Short { line: 2, length: 5 });
        assert_eq!(refusal("a-kéy-with-a-letter-in-it"), KeyError::Character { line: 1 });
        assert_eq!(refusal("a key with spaces in it"), KeyError::UnknownLimit { line: 1 });
    }
}
