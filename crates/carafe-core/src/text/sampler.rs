//! From logits to a token.
//!
//! Every token gets a weight, e^((logit - largest) / temperature); tokens outside top-k get zero.
//! Then the tokens race: each arrives after an exponentially distributed time divided by its
//! weight, so that the first to arrive is a draw in proportion to the weights (the Gumbel-max
//! trick, in its exponential form). Two heats need few random numbers: first blocks of tokens race
//! by the sums of their weights, then the tokens of the winning block.
//!
//! The usual way is to lay the weights side by side on a line and look what lies at a random place.
//! But logits move a little when a prompt is cut otherwise or a batch is larger, every token of the
//! vocabulary has a border on that line, and each of them moves. A race has another winner only if
//! the first two arrive almost at the same time.
//!
//! Where no token is excluded, most weights are never worked out: the best token of a block bounds
//! the sum of its weights, and most blocks have lost by that bound already.
//!
//! Top-p and min-p exclude tokens of little weight, which most draws would not give anyway. So an
//! excluded token is drawn again (rejection sampling: the others keep their shares), and only after
//! a few rejections is it worked out which tokens are excluded.
//!
//! Sums have a fixed order, so draws give the same token natively and in WebAssembly.

use std::f32::consts::LOG2_E;

use super::{
    logit_stats::{LogitError, LogitStats},
    math::{self, BLOCK},
    ranking::{self, Mass, Ranking, token_of},
    rng,
    sampling::Sampling,
};

/// Excluded tokens that are drawn again; then it is cheaper to work out which are excluded.
const MAX_REJECTIONS: u64 = 4;

/// More than the rounding of powers of two and of sums, relative to them.
const ROUNDING: f64 = 1e-4;

/// What the sum of a block's weights is at most, in weights of its best token.
const SUM_OF_BEST: f64 = BLOCK as f64 * (1.0 + ROUNDING);

/// Where more of the blocks than one of this many have a token as good as the one that was drawn,
/// all weights are worked out.
const MOST_BLOCKS: usize = 8;

/// Chooses tokens; holds the buffers that this takes, so that nothing of the vocabulary's size is
/// allocated for a token.
#[derive(Debug, Default)]
pub struct Sampler {
    /// The weight of every token.
    weights: Vec<f32>,
    /// The sum of each block of weights.
    sums: Vec<f32>,
    pub(super) logit_stats: LogitStats,
    pub(super) ranking: Ranking,
}

impl Sampler {
    /// Chooses one of the tokens of `logits`, at least one, by the draws of `key` (see [`rng`]),
    /// which no other token of the request may have. Penalties and bias are in the logits already.
    pub fn sample(&mut self, logits: &[f32], sampling: &Sampling, key: u64) -> Result<u32, LogitError> {
        self.logit_stats.look(logits)?;
        if sampling.is_greedy() {
            return Ok(self.logit_stats.best(logits));
        }
        if !sampling.has_top_k(logits.len()) {
            let token = self.pick_of_all(logits, sampling, rng::fold_in(key, 0));
            if self.surely_keeps(logits, sampling, token) {
                return Ok(token);
            }
        }
        self.softmax_weights(logits, sampling);
        let mut tokens = (0..MAX_REJECTIONS).map(|number| self.pick(rng::fold_in(key, number)));
        if let Some(token) = tokens.find(|&token| self.keeps(logits, sampling, token)) {
            return Ok(token);
        }
        self.exclude(logits, sampling);
        Ok(self.pick(rng::fold_in(key, MAX_REJECTIONS)))
    }

    /// What tokens are drawn by where the best is not simply taken, by id: probabilities, but for a
    /// common factor. Zero is excluded.
    pub fn weights(&mut self, logits: &[f32], sampling: &Sampling) -> Result<&[f32], LogitError> {
        self.logit_stats.look(logits)?;
        self.softmax_weights(logits, sampling);
        self.exclude(logits, sampling);
        Ok(&self.weights)
    }

    /// Gives the tokens that top-k leaves their weights, and all others zero.
    fn softmax_weights(&mut self, logits: &[f32], sampling: &Sampling) {
        self.weights.resize(logits.len(), 0.0);
        self.sums.resize(self.logit_stats.maxima.len(), 0.0);
        match sampling.top_k.map(|count| count as usize) {
            Some(count) if count <= self.logit_stats.maxima.len() => self.softmax_top_k(logits, sampling, count),
            count => self.softmax_all(logits, sampling, count),
        }
    }

    /// Whether neither top-p nor min-p excludes a token.
    fn keeps(&self, logits: &[f32], sampling: &Sampling, token: u32) -> bool {
        let (mass, target) = (Mass::Weights(&self.weights), self.total() * f64::from(sampling.top_p));
        self.weights[token as usize] >= sampling.min_p
            && (sampling.top_p >= 1.0 || ranking::begins_within(target, token, logits, &self.logit_stats, mass))
    }

    /// Excludes what top-p and min-p do not leave.
    fn exclude(&mut self, logits: &[f32], sampling: &Sampling) {
        if sampling.top_p < 1.0 {
            self.keep_top_p(logits, sampling);
        }
        if sampling.min_p > 0.0 {
            self.keep_min_p(sampling.min_p);
        }
    }

    /// Gives the `count` best tokens their weights and all others zero: when they are few, so that
    /// only they are looked at.
    fn softmax_top_k(&mut self, logits: &[f32], sampling: &Sampling, count: usize) {
        let weigh = softmax_weight(self.logit_stats.largest, sampling.temperature);
        let weight = |key: u64| weigh(logits[token_of(key) as usize]);
        let best = self.ranking.best(logits, &self.logit_stats, count);
        self.weights.fill(0.0);
        self.sums.fill(0.0);
        for (token, weight) in best.iter().map(|&key| (token_of(key) as usize, weight(key))) {
            self.weights[token] = weight;
            self.sums[token / BLOCK] = 1.0; // to be worked out
        }
        for (sum, weights) in self.sums.iter_mut().zip(self.weights.chunks(BLOCK)).filter(|(sum, _)| **sum > 0.0) {
            *sum = math::sum(weights);
        }
    }

    /// Gives every token its weight, then excludes those behind the `top_k` best.
    fn softmax_all(&mut self, logits: &[f32], sampling: &Sampling, top_k: Option<usize>) {
        let weigh = softmax_weight(self.logit_stats.largest, sampling.temperature);
        let blocks = self.weights.chunks_mut(BLOCK).zip(logits.chunks(BLOCK));
        for (sum, (weights, logits)) in self.sums.iter_mut().zip(blocks) {
            math::map(logits, weights, weigh);
            *sum = math::sum(weights);
        }
        if let Some(count) = top_k.filter(|&count| count < logits.len()) {
            self.keep_top_k(logits, count);
        }
    }

    /// Excludes all but the `count` best tokens.
    fn keep_top_k(&mut self, logits: &[f32], count: usize) {
        if let Some(cut) = self.ranking.cutoff(logits, &self.logit_stats, Mass::One, count as f64, f32::NEG_INFINITY) {
            cut.clear_tail(logits, &self.logit_stats, &mut self.weights, &mut self.sums);
        }
    }

    /// Excludes all but the fewest best tokens that hold a share of top-p of the weight that is
    /// left.
    fn keep_top_p(&mut self, logits: &[f32], sampling: &Sampling) {
        let (total, share) = (self.total(), f64::from(sampling.top_p));
        // Even if every token had this weight, all of them would be less than what may be excluded.
        let smallest = total * (1.0 - share) / logits.len() as f64;
        let low = f64::from(self.logit_stats.largest) + math::ln(smallest) * f64::from(sampling.temperature);
        let mass = Mass::Weights(&self.weights);
        if let Some(cut) = self.ranking.cutoff(logits, &self.logit_stats, mass, total * share, low as f32) {
            cut.clear_tail(logits, &self.logit_stats, &mut self.weights, &mut self.sums);
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

    /// The token that wins the race of all tokens by the draws of `key`: the one that
    /// [`Self::pick`] gives once every token has its weight.
    fn pick_of_all(&mut self, logits: &[f32], sampling: &Sampling, key: u64) -> u32 {
        let weigh = softmax_weight(self.logit_stats.largest, sampling.temperature);
        self.sums.resize(self.logit_stats.maxima.len(), 0.0);
        math::map(&self.logit_stats.maxima, &mut self.sums, weigh);
        let mut weights = [0.0; BLOCK];
        let block = race(&self.sums, SUM_OF_BEST, rng::fold_in(key, 0), |block| {
            math::sum(weigh_block(block, logits, &mut weights, weigh))
        });
        let weights = weigh_block(block, logits, &mut weights, weigh);
        (block * BLOCK + race_of(weights, rng::fold_in(key, 1))) as u32
    }

    /// Whether [`Self::keeps`] would keep a token, where few weights are enough to know: the tokens
    /// before it have less than top-p of their own weight and its, and so of all.
    fn surely_keeps(&self, logits: &[f32], sampling: &Sampling, token: u32) -> bool {
        let weigh = softmax_weight(self.logit_stats.largest, sampling.temperature);
        let logit = logits[token as usize];
        let own = weigh(logit);
        if own < sampling.min_p || sampling.top_p >= 1.0 {
            return own >= sampling.min_p;
        }
        let maxima = self.logit_stats.maxima.iter().enumerate();
        let blocks = maxima.filter(|(_, largest)| **largest >= logit).map(|(block, _)| block);
        if blocks.clone().count() > self.logit_stats.maxima.len() / MOST_BLOCKS {
            return false;
        }
        let mut weights = [0.0; BLOCK];
        let mass = blocks.map(|block| {
            let weights = weigh_block(block, logits, &mut weights, weigh);
            f64::from(ranking::block_from(logit, block_of(block, logits), weights).0)
        });
        let mass: f64 = mass.sum();
        mass - f64::from(own) < mass * f64::from(sampling.top_p) * (1.0 - ROUNDING)
    }

    /// The token that wins the race by the draws of `key`.
    fn pick(&self, key: u64) -> u32 {
        let first = race_of(&self.sums, rng::fold_in(key, 0)) * BLOCK;
        let end = (first + BLOCK).min(self.weights.len());
        (first + race_of(&self.weights[first..end], rng::fold_in(key, 1))) as u32
    }
}

/// The logits of a block.
fn block_of(block: usize, logits: &[f32]) -> &[f32] {
    let start = block * BLOCK;
    &logits[start..(start + BLOCK).min(logits.len())]
}

/// The weights of a block.
#[inline(always)]
fn weigh_block<'a>(
    block: usize,
    logits: &[f32],
    weights: &'a mut [f32; BLOCK],
    weigh: impl Fn(f32) -> f32,
) -> &'a [f32] {
    let logits = block_of(block, logits);
    math::map(logits, weights, weigh);
    &weights[..logits.len()]
}

/// What gives a logit its weight; that of the largest is 1.
fn softmax_weight(largest: f32, temperature: f32) -> impl Fn(f32) -> f32 + Copy {
    // For the very smallest temperatures this is no f32, and infinity would make the best token's
    // weight NaN.
    let factor = (LOG2_E / temperature).min(f32::MAX);
    #[inline(always)]
    move |logit| math::exp2((logit - largest) * factor)
}

/// Which of the weights arrives first, each after an exponentially distributed time divided by the
/// weight. Those of zero never do.
fn race_of(weights: &[f32], key: u64) -> usize {
    race(weights, 1.0, key, |number| weights[number])
}

/// The same of weights that are not known but for a bound each, which is zero where the weight is:
/// none is more than its bound times `factor`. `weight` works out those that may win.
#[inline(always)]
fn race(bounds: &[f32], factor: f64, key: u64, mut weight: impl FnMut(usize) -> f32) -> usize {
    let (mut winner, mut earliest) = (0, f64::INFINITY);
    for (number, &bound) in bounds.iter().enumerate().filter(|(_, bound)| **bound > 0.0) {
        // The time, -ln(1 - draw), is never less than the draw: most have lost before their weight
        // or their logarithm is worked out.
        let draw = rng::draw(key, number as u64);
        if draw >= earliest * (f64::from(bound) * factor) {
            continue;
        }
        let weight = f64::from(weight(number));
        if draw < earliest * weight {
            let arrival = -math::ln(1.0 - draw) / weight;
            if arrival < earliest {
                (winner, earliest) = (number, arrival);
            }
        }
    }
    winner
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token of [`Sampler::sample`] where every weight is worked out.
    fn with_all_weights(sampler: &mut Sampler, logits: &[f32], sampling: &Sampling, key: u64) -> u32 {
        sampler.logit_stats.look(logits).expect("finite logits");
        sampler.softmax_weights(logits, sampling);
        let mut tokens = (0..MAX_REJECTIONS).map(|number| sampler.pick(rng::fold_in(key, number)));
        if let Some(token) = tokens.find(|&token| sampler.keeps(logits, sampling, token)) {
            return token;
        }
        sampler.exclude(logits, sampling);
        sampler.pick(rng::fold_in(key, MAX_REJECTIONS))
    }

    #[test]
    fn the_token_is_the_same_whether_or_not_every_weight_is_worked_out() {
        let (mut sampler, mut surely_kept) = (Sampler::default(), 0);
        for (length, spread) in [(1, 1.0), (63, 4.0), (64, 0.1), (2053, 1.0), (2053, 30.0), (20_000, 20.0)] {
            // The larger the rarer, as a model's are.
            let logit = |token| -rng::draw(7, token).ln().abs().sqrt() as f32 * spread;
            let logits: Vec<f32> = (0..length).map(logit).collect();
            for key in 0..300 {
                let temperature = [1e-38, 0.1, 0.8, 1.0, 2.0][key as usize % 5];
                let (top_p, min_p) =
                    [(1.0, 0.0), (0.95, 0.0), (0.3, 0.0), (1.0, 0.1), (0.9, 0.02)][key as usize / 5 % 5];
                let sampling = Sampling { temperature, top_p, min_p, ..Sampling::default() };
                let expected = with_all_weights(&mut sampler, &logits, &sampling, key);
                assert_eq!(sampler.sample(&logits, &sampling, key), Ok(expected), "{length}, {spread}, {key}");
                surely_kept += u32::from(top_p < 1.0 && sampler.surely_keeps(&logits, &sampling, expected));
            }
        }
        assert!(surely_kept > 100, "{surely_kept}");
    }
}
