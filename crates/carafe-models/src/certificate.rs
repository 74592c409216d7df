//! `certificate.json`: what the conversion proved. A report, not a signature.
//!
//! Carafe reads the parts that `models show` prints and `models verify --run` repeats; the rest is
//! for people and stays as it is.

use serde::Deserialize;

/// The parts of a certificate that Carafe reads.
#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    /// Whether every gate was passed.
    pub passed: bool,
    /// The OpenVINO that the figures were taken with.
    pub openvino: String,
    /// Comparisons of a text model's logits with its references, by name.
    #[serde(default)]
    pub logits: std::collections::BTreeMap<String, Comparison>,
    /// Comparisons of an image model's scores with its references, by name.
    #[serde(default)]
    pub scores: std::collections::BTreeMap<String, Comparison>,
    /// Greedy continuations of fixed prompts.
    #[serde(default)]
    pub greedy: Vec<Greedy>,
    /// An image model's answer to a fixed pattern.
    pub pattern: Option<Pattern>,
}

/// One comparison with a reference.
#[derive(Clone, Debug, Deserialize)]
pub struct Comparison {
    /// Largest error allowed; `null` where the comparison is reported and not gated.
    pub limit: Option<f64>,
    /// Largest error found.
    pub max_error: f64,
    /// Share of positions with the same most probable token or label.
    pub argmax_agreement: Option<f64>,
    /// Whether the gate was passed, where there is one.
    pub passed: Option<bool>,
}

/// The greedy continuation of one prompt, in profile `exact`.
#[derive(Clone, Debug, Deserialize)]
pub struct Greedy {
    /// The prompt's text.
    pub prompt: String,
    /// The prompt's tokens.
    pub prompt_tokens: Vec<u32>,
    /// The tokens that follow, end of text ignored.
    pub tokens: Vec<u32>,
}

/// The scores of a fixed pattern of pixels, in profile `exact`.
#[derive(Clone, Debug, Deserialize)]
pub struct Pattern {
    /// Index and raw score of the best, best first.
    pub top: Vec<(u32, f64)>,
}

impl Pattern {
    /// Value of a pixel tensor's element: colourful enough to reach many paths of a network, and
    /// the same in every language.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 256")]
    pub fn pixel(index: usize) -> u8 {
        ((index * 37 + (index / 1000) * 11) % 256) as u8
    }
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// The parser's, if the text is no JSON of this form.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
