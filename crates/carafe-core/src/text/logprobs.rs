//! Log-probabilities of the chosen token and of the best alternatives.
//!
//! They are the model's own: the log-softmax of its logits before penalties, bias, temperature and
//! exclusion, as vLLM reports them by default. So a token may be chosen whose log-probability is
//! not among the best, and one that the request excludes is still listed.

use std::f32::consts::LOG2_E;

use super::{logit_stats::LogitError, math, ranking::token_of, sampler::Sampler};

/// How many alternatives a request may ask for.
pub const MAX_LOGPROBS: u32 = 20;

/// What a log-probability is at least. OpenAI's API sends this for a token that is very unlikely;
/// less than that may be minus infinity, which JSON does not know.
pub const MIN_LOGPROB: f32 = -9999.0;

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// [`MIN_LOGPROB`] to 0.
    pub logprob: f32,
}

/// What the model thought of a token that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The chosen token's log-probability.
    pub logprob: f32,
    /// As many of the most probable tokens as the request asked for, best first, ties to the lower
    /// id. The chosen one may be among them.
    pub top: Vec<TokenLogprob>,
}

impl Sampler {
    /// The log-probabilities of `chosen` and the `count` most probable tokens under the model's own
    /// `logits`.
    pub fn logprobs(&mut self, logits: &[f32], chosen: u32, count: u32) -> Result<TokenLogprobs, LogitError> {
        self.logit_stats.look(logits)?;
        let largest = self.logit_stats.largest;
        let normaliser = f64::from(largest) + math::ln(sum_of_exp(logits, largest));
        let logprob = |token: u32| {
            let logit = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
            (f64::from(logit) - normaliser).clamp(MIN_LOGPROB.into(), 0.0) as f32
        };
        let best = self.ranking.best(logits, &self.logit_stats, count as usize);
        Ok(TokenLogprobs {
            logprob: logprob(chosen),
            top: best.iter().copied().map(token_of).map(|id| TokenLogprob { id, logprob: logprob(id) }).collect(),
        })
    }
}

/// The sum of e^(logit - largest), block by block.
fn sum_of_exp(logits: &[f32], largest: f32) -> f64 {
    const BLOCK: usize = 256;
    let mut powers = [0.0; BLOCK];
    let blocks = logits.chunks(BLOCK).map(|block| {
        math::map(block, &mut powers, |logit| math::exp2((logit - largest) * LOG2_E));
        f64::from(math::sum(&powers[..block.len()]))
    });
    blocks.sum()
}
