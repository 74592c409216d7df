//! The words for the sides and the limits of a graph. They know nothing of rules and errors.

use std::fmt;

/// The side of a graph that a tensor is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What a compute takes.
    Input,
    /// What a compute gives.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// A limit of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Tokens, T.
    Tokens,
    /// Sequences, B.
    Sequences,
    /// Rows of logits, N.
    Logits,
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tokens => "tokens (T)",
            Self::Sequences => "sequences (B)",
            Self::Logits => "rows of logits (N)",
        })
    }
}
