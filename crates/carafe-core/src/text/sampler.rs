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
    math::{self, BLOCK},
    ranking::{Mass, Ranking, token_of},
    sampling::Sampling,
};

/// Chooses tokens; holds the buffers that this takes, so that nothing of the vocabulary's size is allocated for a token.
#[derive(Debug, Default)]
pub struct Sampler {
    /// The weight of every token.
    weights: Vec<f32>,
    /// The sum of each block of weights.
    sums: Vec<f32>,
    pub(super) extremes: Extremes,
    pub(super) ranking: Ranking,
}

impl Sampler {
    /// Chooses one of the tokens of `logits`, at least one, by a draw in [0, 1). Penalties and bias are in the logits already.
    pub fn sample(&mut self, logits: &[f32], sampling: &Sampling, draw: f64) -> Result<u32, LogitError> {
        self.extremes.look(logits)?;
        if sampling.is_greedy() {
            return Ok(self.extremes.best(logits));
        }
        self.weights.resize(logits.len(), 0.0);
        self.sums.resize(self.extremes.maxima.len(), 0.0);
        match sampling.top_k.map(|count| count as usize) {
            Some(count) if count <= self.extremes.maxima.len() => self.weigh_best(logits, sampling, count),
            count => self.weigh_all(logits, sampling, count),
        }
        Ok(self.pick(draw))
    }

    /// The weights from which the latest token was drawn, by id: probabilities, but for a common factor. Zero is excluded.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Gives the `count` best tokens their weights and all others zero: when they are few, so that only they are looked at.
    fn weigh_best(&mut self, logits: &[f32], sampling: &Sampling, count: usize) {
        let weigh = weigher(self.extremes.largest, sampling.temperature);
        let weight = |key: u64| weigh(logits[token_of(key) as usize]);
        let mut best = self.ranking.best(logits, &self.extremes, count);
        if sampling.top_p < 1.0 {
            let total: f64 = best.iter().map(|&key| f64::from(weight(key))).sum();
            let target = total * f64::from(sampling.top_p);
            let mut reached = 0.0;
            let last = best.iter().position(|&key| {
                reached += f64::from(weight(key));
                reached >= target
            });
            best = last.map_or(best, |last| &best[..=last]);
        }
        self.weights.fill(0.0);
        self.sums.fill(0.0);
        let kept = best.iter().map(|&key| (token_of(key) as usize, weight(key)));
        for (token, weight) in kept.filter(|&(_, weight)| weight >= sampling.min_p) {
            self.weights[token] = weight;
            self.sums[token / BLOCK] = 1.0; // to be worked out
        }
        for (sum, weights) in self.sums.iter_mut().zip(self.weights.chunks(BLOCK)).filter(|(sum, _)| **sum > 0.0) {
            *sum = math::sum(weights);
        }
    }

    /// Gives every token its weight, then excludes what is not to be drawn.
    fn weigh_all(&mut self, logits: &[f32], sampling: &Sampling, top_k: Option<usize>) {
        let weigh = weigher(self.extremes.largest, sampling.temperature);
        let blocks = self.weights.chunks_mut(BLOCK).zip(logits.chunks(BLOCK));
        for (sum, (weights, logits)) in self.sums.iter_mut().zip(blocks) {
            for (weight, &logit) in weights.iter_mut().zip(logits) {
                *weight = weigh(logit);
            }
            *sum = math::sum(weights);
        }
        if let Some(count) = top_k.filter(|&count| count < logits.len()) {
            self.keep_top_k(logits, count);
        }
        if sampling.top_p < 1.0 {
            self.keep_top_p(logits, sampling);
        }
        if sampling.min_p > 0.0 {
            self.keep_min_p(sampling.min_p);
        }
    }

    /// Excludes all but the `count` best tokens.
    fn keep_top_k(&mut self, logits: &[f32], count: usize) {
        if let Some(cut) = self.ranking.cut(logits, &self.extremes, Mass::One, count as f64, f32::NEG_INFINITY) {
            cut.clear_tail(logits, &self.extremes, &mut self.weights, &mut self.sums);
        }
    }

    /// Excludes all but the fewest best tokens that hold a share of top-p of the weight that is left.
    fn keep_top_p(&mut self, logits: &[f32], sampling: &Sampling) {
        let (total, share) = (self.total(), f64::from(sampling.top_p));
        // Even if every token had this weight, all of them would be less than what may be excluded.
        let smallest = total * (1.0 - share) / logits.len() as f64;
        let low = f64::from(self.extremes.largest) + math::ln(smallest) * f64::from(sampling.temperature);
        let mass = Mass::Weights(&self.weights);
        if let Some(cut) = self.ranking.cut(logits, &self.extremes, mass, total * share, low as f32) {
            cut.clear_tail(logits, &self.extremes, &mut self.weights, &mut self.sums);
        }
    }

    /// Excludes tokens whose weight is less than `share` of the best one's, which is 1.
    fn keep_min_p(&mut self, share: f32) {
        for (sum, weights) in self.sums.iter_mut().zip(self.weights.chunks_mut(BLOCK)) {
            for weight in &mut *weights {
                *weight = if *weight >= share { *weight } else { 0.0 };
            }
            *sum = math::sum(weights);
        }
    }

    /// The sum of all weights.
    fn total(&self) -> f64 {
        self.sums.iter().copied().map(f64::from).sum()
    }

    /// The token at `draw` of the way along the weights.
    fn pick(&mut self, draw: f64) -> u32 {
        let (block, place) = walk(&self.sums, draw * self.total());
        let first = block * BLOCK;
        let end = (first + BLOCK).min(self.weights.len());
        let (offset, _) = walk(&self.weights[first..end], place);
        (first + offset) as u32
    }
}

/// What gives a logit its weight; that of the largest is 1.
fn weigher(largest: f32, temperature: f32) -> impl Fn(f32) -> f32 + Copy {
    // For the very smallest temperatures this is no f32, and infinity would make the best token's weight NaN.
    let factor = (LOG2_E / temperature).min(f32::MAX);
    #[inline(always)]
    move |logit| math::exp2((logit - largest) * factor)
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
