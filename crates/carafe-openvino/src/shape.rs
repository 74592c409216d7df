//! The words for tensors and their sizes: roles, dimensions, sides, limits. They know nothing of rules and errors.

use std::fmt;

/// What a tensor means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Token ids, `[B,S]`, each in `[0,V)`.
    InputIds,
    /// Each token's place in its own sequence, `[B,S]`, each in `[0,context)`.
    PositionIds,
    /// Which kept and new positions a row may see, `[B,P+S]` of 0 and 1.
    AttentionMask,
    /// The row of the step before that each row continues, `[B]`.
    BeamIdx,
    /// The flattened positions whose logits are wanted, `[N]`, each in `[0,B*S)`.
    LogitIdx,
    /// An image.
    Pixels,
    /// A score for each token of the vocabulary.
    Logits,
    /// A score for each label.
    Scores,
}

/// One dimension of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Always this size.
    Fixed(u32),
    /// B.
    Batch,
    /// S.
    Step,
    /// P+S.
    Total,
    /// N.
    Logits,
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Batch => formatter.write_str("B"),
            Self::Step => formatter.write_str("S"),
            Self::Total => formatter.write_str("P+S"),
            Self::Logits => formatter.write_str("N"),
        }
    }
}

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

/// A limit of one compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Rows, B.
    Batch,
    /// Positions a row, S.
    Step,
    /// Rows of logits, N.
    Logits,
    /// Positions kept over all rows, B*(P+S).
    Positions,
    /// Tokens of a paged decoder, T.
    Tokens,
    /// Sequences of a paged decoder, B.
    Sequences,
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Batch => "rows (B)",
            Self::Step => "positions a row (S)",
            Self::Logits => "rows of logits (N)",
            Self::Positions => "kept positions (B*(P+S))",
            Self::Tokens => "tokens (T)",
            Self::Sequences => "sequences (B)",
        })
    }
}

/// Type and shape as people write them: `i32 [B,S]`.
pub(crate) fn describe(element: impl fmt::Display, shape: &[impl fmt::Display]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("{element} [{}]", sizes.join(","))
}
