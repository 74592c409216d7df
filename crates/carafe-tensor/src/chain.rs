//! How an error is printed.

use std::error::Error;

/// An error with its causes on one line, the outermost first: `failed to load model: file not
/// found: …`.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
