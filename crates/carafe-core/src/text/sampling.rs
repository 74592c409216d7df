//! How a request wants its tokens chosen: the parameters and their ranges. Nothing is clamped; what
//! is out of range is refused.

use std::collections::BTreeSet;

use super::request_error::RequestError;

/// How many tokens a request may bias.
pub const MAX_LOGIT_BIASES: usize = 1024;

/// The parameters of choosing a token. They act in this order: penalties and bias (see
/// [`super::Penalties`]), temperature, top-k, top-p, min-p, each on what the one before has left;
/// then one token of the rest is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 to 2. At 0 the token with the largest logit is taken and nothing is drawn; ties go to the
    /// lower id.
    pub temperature: f32,
    /// Keep only this number of the best tokens, at least 1.
    pub top_k: Option<u32>,
    /// Keep the fewest best tokens whose probabilities reach this, but at least one; 0 to 1, which
    /// keeps all.
    pub top_p: f32,
    /// Keep only tokens at least so probable relative to the best one, 0 to below 1; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens that occur in prompt or output;
    /// above 0, 1 changes nothing.
    pub repetition_penalty: f32,
    /// Taken off a token's logit for every time it was written, -2 to 2.
    pub frequency_penalty: f32,
    /// Taken off a token's logit once it was written, -2 to 2.
    pub presence_penalty: f32,
    /// Added to the logits of these tokens, -100 to 100 each; at most [`MAX_LOGIT_BIASES`], no
    /// token twice.
    pub logit_bias: Vec<(u32, f32)>,
    /// What every draw follows from, together with the number of the token.
    pub seed: u64,
}

impl Default for Sampling {
    /// Samples from the model's own distribution, with seed 0.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Whether the best token is taken without a draw: of the fewest that reach a probability of 0
    /// nothing is left to draw.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_p == 0.0
    }

    /// Whether top-k excludes any of `count` tokens.
    pub(super) fn has_top_k(&self, count: usize) -> bool {
        self.top_k.is_some_and(|top_k| (top_k as usize) < count)
    }

    /// Whether any logit may be moved before sampling.
    pub(super) fn changes_logits(&self) -> bool {
        self.has_penalties() || !self.logit_bias.is_empty()
    }

    /// Whether what was written before changes any logit.
    pub(super) fn has_penalties(&self) -> bool {
        self.repetition_penalty != 1.0 || self.frequency_penalty != 0.0 || self.presence_penalty != 0.0
    }

    /// Refuses what is out of range.
    pub(super) fn check(&self) -> Result<(), RequestError> {
        let require = |holds: bool, parameter, range, value: f32| {
            if holds { Ok(()) } else { Err(RequestError::OutOfRange { parameter, range, value }) }
        };
        let finite = |value: f32| value > 0.0 && value.is_finite();
        let penalty = -2.0..=2.0;
        require((0.0..=2.0).contains(&self.temperature), "temperature", "0 to 2", self.temperature)?;
        require((0.0..=1.0).contains(&self.top_p), "top_p", "0 to 1", self.top_p)?;
        require((0.0..1.0).contains(&self.min_p), "min_p", "at least 0 and below 1", self.min_p)?;
        let (repetition, frequency) = (self.repetition_penalty, self.frequency_penalty);
        require(finite(repetition), "repetition_penalty", "above 0 and finite", repetition)?;
        require(penalty.contains(&frequency), "frequency_penalty", "-2 to 2", frequency)?;
        require(penalty.contains(&self.presence_penalty), "presence_penalty", "-2 to 2", self.presence_penalty)?;
        if self.top_k == Some(0) {
            return Err(RequestError::ZeroTopK);
        }
        self.check_biases()
    }

    /// Refuses biases that are too many, too large, or on tokens that are named twice.
    fn check_biases(&self) -> Result<(), RequestError> {
        let count = self.logit_bias.len();
        if count > MAX_LOGIT_BIASES {
            return Err(RequestError::TooManyBiases { count, limit: MAX_LOGIT_BIASES });
        }
        let mut seen = BTreeSet::new();
        for &(token, value) in &self.logit_bias {
            if !(-100.0..=100.0).contains(&value) {
                return Err(RequestError::OutOfRange { parameter: "logit_bias", range: "-100 to 100", value });
            }
            if !seen.insert(token) {
                return Err(RequestError::BiasTwice { token });
            }
        }
        Ok(())
    }
}
