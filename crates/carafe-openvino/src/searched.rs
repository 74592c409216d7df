//! What a search path was searched for, and in vain, as errors list it.

use std::fmt;
use std::path::PathBuf;

/// A part of a search path that did not have what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// The folder, the file, or words for the system's own search path.
    pub path: PathBuf,
    /// What was wrong with it.
    pub outcome: &'static str,
}

/// A searched path for a message, a line for each part.
pub(crate) struct Lines<'a>(pub(crate) &'a [Searched]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(formatter, "\n  `{}`: {}", part.path.display(), part.outcome))
    }
}
