//! Dimensions: fixed sizes, and the letters for those that change from inference to inference.

use std::fmt;

/// One dimension of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Always this size.
    Fixed(u32),
    /// B: the rows of a stateful inference, the sequences of a paged one.
    Batch,
    /// B+1: one entry a sequence, and the end.
    BatchAndEnd,
    /// S: the new positions of each row of a stateful inference.
    Step,
    /// P+S: the cached and new positions of each row of a stateful inference.
    Total,
    /// T: the tokens of a paged inference, of all sequences.
    Tokens,
    /// K: the blocks of a paged inference, of all sequences.
    Blocks,
    /// N: the tokens whose logits are wanted.
    Logits,
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fixed(size) => return write!(formatter, "{size}"),
            Self::Batch => "B",
            Self::BatchAndEnd => "B+1",
            Self::Step => "S",
            Self::Total => "P+S",
            Self::Tokens => "T",
            Self::Blocks => "K",
            Self::Logits => "N",
        })
    }
}

/// Type and shape as people write them: `i32 [B,S]`.
pub fn describe(element: impl fmt::Display, shape: &[impl fmt::Display]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("{element} [{}]", sizes.join(","))
}
