//! Places that were looked in for a file, as errors list them.

use std::fmt;
use std::path::PathBuf;

/// A place that was looked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder, file, or what the system's places are.
    pub path: PathBuf,
    /// What was wrong with it.
    pub outcome: &'static str,
}

/// A list of places for a message, a line each.
pub(crate) struct Places<'a>(pub(crate) &'a [Place]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|place| write!(formatter, "\n  `{}`: {}", place.path.display(), place.outcome))
    }
}
