//! From logits to a token.
//!
//! Every token gets a weight, e^((logit - largest) / temperature). What top-k, top-p and min-p exclude gets weight zero. One draw in
//! [0, 1), times the sum of the weights, is then a place on the line on which the weights lie side by side in the order of the ids:
//! the token that lies there is chosen. In the order of the ids and not of the ranking, since then a logit that is off by a hair only
//! moves borders by a hair, whereas two tokens that swap their ranks would swap places.
//!
//! Sums have a fixed order, so a draw gives the same token natively and in WebAssembly.

use std::f32::consts::LOG2_E;

use super::{
    extremes::{Extremes, LogitError},
    math,
    ranking::{Mass, Ranking},
    sampling::Sampling,
};

/// How many weights are summed up together before single ones are looked at.
const BLOCK: usize = 64;

/// Chooses tokens; holds the buffers that this takes, so that nothing of the vocabulary's size is allocated for a token.
#[derive(Debug, Default)]
pub struct Sampler {
    /// The weight of every token.
    weights: Vec<f32>,
    /// The sum of each block of weights.
    sums: Vec<f32>,
    pub(super) ranking: Ranking,
}

impl Sampler {
    /// Chooses one of the tokens of `logits`, at least one, by a draw in [0, 1). Penalties and bias are in the logits already.
    pub fn sample(&mut self, logits: &[f32], sampling: &Sampling, draw: f64) -> Result<u32, LogitError> {
        let extremes = Extremes::of(logits)?;
        if sampling.is_greedy() {
            return Ok(extremes.best(logits));
        }
        self.weigh(logits, extremes.largest, sampling.temperature);
        if let Some(count) = sampling.top_k {
            self.keep_top_k(logits, extremes, count);
        }
        if sampling.top_p < 1.0 {
            self.keep_top_p(logits, extremes, sampling.top_p);
        }
        if sampling.min_p > 0.0 {
            self.keep_min_p(sampling.min_p);
        }
        Ok(self.pick(draw))
    }

    /// The weights from which the latest token was drawn, by id: probabilities, but for a common factor. Zero is excluded.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Gives every token its weight; the best token's is 1.
    fn weigh(&mut self, logits: &[f32], largest: f32, temperature: f32) {
        // For the very smallest temperatures this is no f32, and infinity would make the best token's weight NaN.
        let factor = (LOG2_E / temperature).min(f32::MAX);
        self.weights.resize(logits.len(), 0.0);
        for (weight, &logit) in self.weights.iter_mut().zip(logits) {
            *weight = math::exp2((logit - largest) * factor);
        }
    }

    /// Excludes all but the `count` best tokens.
    fn keep_top_k(&mut self, logits: &[f32], extremes: Extremes, count: u32) {
        if let Some(cut) = self.ranking.cut(logits, extremes, Mass::One, |_| f64::from(count)) {
            cut.clear_tail(logits, &mut self.weights);
        }
    }

    /// Excludes all but the fewest best tokens that hold `share` of the weight that is left.
    fn keep_top_p(&mut self, logits: &[f32], extremes: Extremes, share: f32) {
        let mass = Mass::Weights(&self.weights);
        if let Some(cut) = self.ranking.cut(logits, extremes, mass, |all| all * f64::from(share)) {
            cut.clear_tail(logits, &mut self.weights);
        }
    }

    /// Excludes tokens whose weight is less than `share` of the best one's, which is 1.
    fn keep_min_p(&mut self, share: f32) {
        for weight in &mut self.weights {
            *weight = if *weight >= share { *weight } else { 0.0 };
        }
    }

    /// The token at `draw` of the way along the weights.
    fn pick(&mut self, draw: f64) -> u32 {
        self.sums.clear();
        self.sums.extend(self.weights.chunks(BLOCK).map(math::sum));
        let total: f64 = self.sums.iter().copied().map(f64::from).sum();
        let (block, place) = walk(&self.sums, draw * total);
        let first = block * BLOCK;
        let end = (first + BLOCK).min(self.weights.len());
        let (offset, _) = walk(&self.weights[first..end], place);
        (first + offset) as u32
    }
}

/// Which of the lengths, laid side by side, lies at `place`, and where in it. Rounding may put the place just past the end: that is
/// the last one that has a length.
fn walk(lengths: &[f32], mut place: f64) -> (usize, f64) {
    let mut last = 0;
    for (index, &length) in lengths.iter().enumerate() {
        if length == 0.0 {
            continue;
        }
        if place < f64::from(length) {
            return (index, place);
        }
        place -= f64::from(length);
        last = index;
    }
    (last, lengths.get(last).copied().map_or(0.0, f64::from))
}
