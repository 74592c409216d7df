//! The best tokens without sorting the vocabulary.
//!
//! Tokens are ranked by logit, the larger first, ties to the lower id. [`Ranking::best`] lists a short head of the ranking: the
//! k-th largest maximum of a block of logits is a lower bound of the k-th largest logit, so only the few tokens that reach it are
//! sorted. [`Ranking::cut`] finds the end of a head whose mass reaches a target: with mass 1 a token that is a large top-k, with
//! probabilities it is top-p. From a sample of the vocabulary it guesses two logits between which the head ends, adds up what lies
//! above them, and looks closer only at the tokens between them. A wrong guess is noticed, and costs time alone.
//!
//! Worked example, a target of 3 with mass 1 and logits 9.0, 2.0, 8.5, 8.0, 8.6: if the guess is 8.2 to 8.8, then one token is above,
//! and of 8.6 and 8.5, which are between, the second is the third; had the guess been 8.55 to 8.8, then 8.6 would have made it only
//! two, and the tokens below 8.55 would have been looked at.

use super::{
    extremes::Extremes,
    math::{BLOCK, WIDE_LANES},
};

/// How many ranges of logits a histogram has; a power of two, so that the bucket's number can be masked out of a float.
const BUCKETS: usize = 1024;

/// How far below the largest logit the ranges reach; all logits further down share the last one.
const DEPTH: f32 = 32.0;

/// How many tokens of every block are in the sample: the first ones.
const SAMPLED: usize = 4;

/// A sample of fewer blocks than this says too little: then all tokens are looked at.
const FEWEST_BLOCKS: usize = 32;

/// How many standard deviations of the sample's mass the guess allows on either side.
const DEVIATIONS: f64 = 2.5;

/// How many logits are looked at together, before single ones are.
const TOGETHER: usize = 16;

/// So few tokens are sorted without more ado.
const FEW: usize = 64;

/// What a token counts towards the target.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mass<'a> {
    /// Every token counts 1.
    One,
    /// Every token counts its weight, finite and not negative.
    Weights(&'a [f32]),
}

impl<'a> Mass<'a> {
    /// The mass of one token.
    fn of(self, token: u32) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Weights(weights) => f64::from(weights[token as usize]),
        }
    }

    /// The masses of `count` tokens of a block, from the token `first`.
    fn of_block(self, first: usize, count: usize) -> &'a [f32] {
        match self {
            Self::One => &[1.0; BLOCK][..count],
            Self::Weights(weights) => &weights[first..first + count],
        }
    }
}

/// The end of a head of the ranking: the last token that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    /// The logit of that token: no token with a smaller one belongs to the head.
    logit: f32,
    /// Its id: of the tokens with the same logit only those up to this one belong to the head.
    token: u32,
}

impl Cut {
    /// Sets the weight of every token outside the head to zero.
    pub(super) fn clear_tail(self, logits: &[f32], extremes: &Extremes, weights: &mut [f32]) {
        let blocks = logits.chunks(BLOCK).zip(weights.chunks_mut(BLOCK)).zip(&extremes.maxima);
        for (index, ((logits, weights), &largest)) in blocks.enumerate() {
            if largest < self.logit {
                weights.fill(0.0);
            } else {
                self.clear_block(index * BLOCK, logits, weights);
            }
        }
    }

    /// Sets the weight of every token outside the head to zero, in the block that starts with the token `first`.
    fn clear_block(self, first: usize, logits: &[f32], weights: &mut [f32]) {
        let tied = (self.token as usize + 1).saturating_sub(first).min(weights.len());
        for (weight, &logit) in weights[..tied].iter_mut().zip(&logits[..tied]) {
            *weight = if logit >= self.logit { *weight } else { 0.0 };
        }
        for (weight, &logit) in weights[tied..].iter_mut().zip(&logits[tied..]) {
            *weight = if logit > self.logit { *weight } else { 0.0 };
        }
    }
}

/// Logits from `low`, included, to `high`, excluded.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    const ALL: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };

    #[inline(always)]
    fn contains(self, logit: f32) -> bool {
        (logit >= self.low) & (logit < self.high)
    }
}

/// Buffers for ranking a vocabulary, reused from token to token.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// The tokens that are looked at closer, as sortable keys.
    keys: Vec<u64>,
    /// The maxima of the blocks, in any order.
    maxima: Vec<f32>,
}

impl Ranking {
    /// The keys of the `count` best tokens, best first; of all of them if there are no more.
    pub(super) fn best(&mut self, logits: &[f32], extremes: &Extremes, count: usize) -> &[u64] {
        let low = self.lower_bound(extremes, count);
        self.gather(logits, extremes, Range { low, ..Range::ALL });
        if (1..self.keys.len()).contains(&count) {
            self.keys.select_nth_unstable(count - 1);
        }
        self.keys.truncate(count);
        self.keys.sort_unstable();
        &self.keys
    }

    /// A logit that at least `count` tokens reach, if there are so many: each of so many blocks has one.
    fn lower_bound(&mut self, extremes: &Extremes, count: usize) -> f32 {
        if !(1..=extremes.maxima.len()).contains(&count) {
            return f32::NEG_INFINITY;
        }
        self.maxima.clear();
        self.maxima.extend_from_slice(&extremes.maxima);
        *self.maxima.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
    }

    /// The end of the shortest head of the ranking whose mass reaches `target` of `total`, which is the mass of all; none if even
    /// the whole ranking does not reach it.
    pub(super) fn cut(
        &mut self,
        logits: &[f32],
        extremes: &Extremes,
        mass: Mass<'_>,
        (target, total): (f64, f64),
    ) -> Option<Cut> {
        let (blocks, _) = logits.as_chunks::<BLOCK>();
        let token = if blocks.len() < FEWEST_BLOCKS {
            self.gather(logits, extremes, Range::ALL);
            self.end(mass, 0.0, target)
        } else {
            let sample = Sample::of(blocks, extremes.largest, mass);
            self.end_near(logits, extremes, mass, target, &sample, sample.guess(total - target))
        };
        token.map(|token| Cut { logit: logits[token as usize], token })
    }

    /// The last token of the head, which is probably between some borders of a sample and near one of them.
    fn end_near(
        &mut self,
        logits: &[f32],
        extremes: &Extremes,
        mass: Mass<'_>,
        target: f64,
        sample: &Sample,
        guess: Guess,
    ) -> Option<u32> {
        let near = sample.border(guess.near);
        let above = mass_from(near, logits, extremes, mass);
        if above < target {
            let low = sample.border(sample.downwards(guess, target - above));
            self.gather(logits, extremes, Range { low, high: near });
            return self.end(mass, above, target).or_else(|| {
                self.gather(logits, extremes, Range { high: low, ..Range::ALL });
                self.end(mass, mass_from(low, logits, extremes, mass), target)
            });
        }
        let high = sample.border(sample.upwards(guess, above - target));
        self.gather(logits, extremes, Range { low: near, high });
        let mut before = above - self.keys.iter().map(|&key| mass.of(token_of(key))).sum::<f64>();
        if before >= target {
            self.gather(logits, extremes, Range { low: high, ..Range::ALL });
            before = 0.0;
        }
        // Here the masses are added in another order, so rounding may leave the target just out of reach.
        self.end(mass, before, target).or_else(|| self.keys.iter().max().copied().map(token_of))
    }

    /// Gathers the keys of the tokens with logits in `range`. Blocks that have none are passed over as a whole.
    fn gather(&mut self, logits: &[f32], extremes: &Extremes, range: Range) {
        self.keys.clear();
        let blocks = logits.chunks(BLOCK).zip(&extremes.maxima).enumerate();
        for (index, (block, _)) in blocks.filter(|(_, (_, largest))| **largest >= range.low) {
            let (chunks, rest) = block.as_chunks::<TOGETHER>();
            for (chunk, first) in chunks.iter().zip((index * BLOCK..).step_by(TOGETHER)) {
                if chunk.iter().fold(0, |any, &logit| any | u32::from(range.contains(logit))) != 0 {
                    self.keep(range, chunk, first as u32);
                }
            }
            self.keep(range, rest, (index * BLOCK + chunks.len() * TOGETHER) as u32);
        }
    }

    /// Adds the keys of the logits in `range`, of at most [`TOGETHER`], to those gathered. The first is that of the token `first`.
    #[inline(always)]
    fn keep(&mut self, range: Range, logits: &[f32], first: u32) {
        let (mut kept, mut count) = ([0u32; TOGETHER], 0);
        for (&logit, offset) in logits.iter().zip(0..) {
            kept[count % TOGETHER] = offset;
            count += usize::from(range.contains(logit));
        }
        let kept = kept[..count.min(TOGETHER)].iter();
        self.keys.extend(kept.map(|&offset| key_of(logits[offset as usize % TOGETHER], first + offset)));
    }

    /// The token among those gathered with which the mass, `above` for what ranks before them, reaches the target. Leaves of the
    /// tokens gathered only those that it had to sort.
    fn end(&mut self, mass: Mass<'_>, above: f64, target: f64) -> Option<u32> {
        let mut reached = above;
        if self.keys.len() > FEW {
            let (best, worst) =
                self.keys.iter().fold((u64::MAX, 0), |(best, worst), &key| (best.min(key), worst.max(key)));
            let scale = Scale::of(logit_of(worst), logit_of(best));
            let mut histogram = [0.0; BUCKETS];
            for &key in &self.keys {
                histogram[scale.bucket(logit_of(key))] += mass.of(token_of(key));
            }
            let bucket;
            (bucket, reached) = end_bucket(&histogram, above, target)?;
            self.keys.retain(|&key| scale.bucket(logit_of(key)) == bucket);
        }
        self.keys.sort_unstable();
        let last = self.keys.iter().find(|&&key| {
            reached += mass.of(token_of(key));
            reached >= target
        });
        last.copied().map(token_of)
    }
}

/// The mass of all tokens with logits from `low` up.
fn mass_from(low: f32, logits: &[f32], extremes: &Extremes, mass: Mass<'_>) -> f64 {
    let mut lanes = [0.0; WIDE_LANES];
    let blocks = logits.chunks(BLOCK).zip(&extremes.maxima).enumerate();
    for (index, (block, _)) in blocks.filter(|(_, (_, largest))| **largest >= low) {
        let masses = mass.of_block(index * BLOCK, block.len());
        add_from(low, block, masses, &mut lanes);
    }
    lanes.iter().sum()
}

/// Adds the masses of the tokens with logits from `low` up to the lanes.
#[inline(always)]
fn add_from(low: f32, logits: &[f32], masses: &[f32], lanes: &mut [f64; WIDE_LANES]) {
    let mut add = |lane: usize, logit: f32, mass: f32| lanes[lane] += f64::from(if logit >= low { mass } else { 0.0 });
    let (chunks, rest) = logits.as_chunks::<WIDE_LANES>();
    let (mass_chunks, mass_rest) = masses.as_chunks::<WIDE_LANES>();
    for (logits, masses) in chunks.iter().zip(mass_chunks) {
        for lane in 0..WIDE_LANES {
            add(lane, logits[lane], masses[lane]);
        }
    }
    for (lane, (&logit, &mass)) in rest.iter().zip(mass_rest).enumerate() {
        add(lane, logit, mass);
    }
}

/// The mass of a few tokens of every block, by ranges of logits.
///
/// Borders have numbers: before border `i` are the buckets less than `i`, so there is one more of them than there are buckets.
struct Sample {
    scale: Scale,
    /// For every bucket the sum of the masses and the sum of their squares.
    histogram: [[f64; 2]; BUCKETS],
}

/// Borders between which the head probably ends, and the one that it probably ends near.
#[derive(Debug, Clone, Copy)]
struct Guess {
    low: usize,
    near: usize,
    high: usize,
}

impl Sample {
    fn of(blocks: &[[f32; BLOCK]], largest: f32, mass: Mass<'_>) -> Self {
        let scale = Scale::of(smallest_sampled(blocks), largest);
        let mut histogram = [[0.0; 2]; BUCKETS];
        for (index, block) in blocks.iter().enumerate() {
            let masses = mass.of_block(index * BLOCK, SAMPLED);
            for (&logit, &mass) in block.iter().zip(masses) {
                let mass = f64::from(mass);
                let [sum, squares] = &mut histogram[scale.bucket(logit)];
                *sum += mass;
                *squares += mass * mass;
            }
        }
        Self { scale, histogram }
    }

    /// The logit at a border.
    fn border(&self, number: usize) -> f32 {
        match number {
            0 => f32::INFINITY,
            BUCKETS => f32::NEG_INFINITY,
            _ => self.scale.upper_border(number),
        }
    }

    /// Where the head ends if what ranks behind it has a mass of `tail`.
    fn guess(&self, tail: f64) -> Guess {
        let (mut low, mut near, mut high) = (None, None, 0);
        let mut estimate = Estimate::default();
        for (bucket, &sums) in self.histogram.iter().enumerate().rev() {
            estimate.add(sums);
            if !estimate.is_surely_below(tail) {
                low.get_or_insert(bucket + 1);
            }
            if estimate.mass > tail {
                near.get_or_insert(bucket + 1);
            }
            if estimate.is_surely_above(tail) {
                high = bucket;
                break;
            }
        }
        let low = low.unwrap_or(1);
        Guess { low, near: near.unwrap_or(low), high }
    }

    /// The border up to which there surely is a mass of `excess`, from the border that the head ends near.
    fn upwards(&self, guess: Guess, excess: f64) -> usize {
        let mut estimate = Estimate::default();
        (guess.high..guess.near)
            .rev()
            .find(|&bucket| {
                estimate.add(self.histogram[bucket]);
                estimate.is_surely_above(excess)
            })
            .unwrap_or(guess.high)
    }

    /// The border down to which there surely is a mass of `missing`, from the border that the head ends near.
    fn downwards(&self, guess: Guess, missing: f64) -> usize {
        let mut estimate = Estimate::default();
        let last = (guess.near..guess.low).find(|&bucket| {
            estimate.add(self.histogram[bucket]);
            estimate.is_surely_above(missing)
        });
        last.map_or(guess.low, |bucket| bucket + 1)
    }
}

/// What a sample says about the mass of all: its own, times how many tokens there are for each of the sample. The variance of this is
/// the sum of the squares.
#[derive(Debug, Default)]
struct Estimate {
    mass: f64,
    variance: f64,
}

impl Estimate {
    /// How many tokens there are for each of the sample.
    const RATE: f64 = (BLOCK / SAMPLED) as f64;

    fn add(&mut self, [sum, squares]: [f64; 2]) {
        self.mass += Self::RATE * sum;
        self.variance += Self::RATE * Self::RATE * squares;
    }

    fn is_surely_below(&self, limit: f64) -> bool {
        self.mass < limit && (self.mass - limit) * (self.mass - limit) > DEVIATIONS * DEVIATIONS * self.variance
    }

    fn is_surely_above(&self, limit: f64) -> bool {
        self.mass > limit && (self.mass - limit) * (self.mass - limit) > DEVIATIONS * DEVIATIONS * self.variance
    }
}

/// The smallest logit of the sample.
fn smallest_sampled(blocks: &[[f32; BLOCK]]) -> f32 {
    let mut lanes = [f32::INFINITY; SAMPLED];
    for block in blocks {
        for (lane, &logit) in lanes.iter_mut().zip(block) {
            *lane = if logit < *lane { logit } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::INFINITY, f32::min)
}

/// Which logits are in which bucket: 0 has the largest.
#[derive(Debug, Clone, Copy)]
struct Scale {
    largest: f32,
    /// How many buckets a distance of 1 is.
    factor: f32,
}

impl Scale {
    /// The number of the last bucket.
    const LAST: f32 = (BUCKETS - 1) as f32;

    fn of(smallest: f32, largest: f32) -> Self {
        let depth = (largest - smallest).clamp(f32::MIN_POSITIVE, DEPTH);
        Self { largest, factor: (Self::LAST / depth).min(f32::MAX) }
    }

    #[inline(always)]
    fn bucket(self, logit: f32) -> usize {
        // Adding 2^23 rounds to an integer and leaves it in the low bits.
        const ROUNDER: f32 = 8_388_608.0;
        let place = (self.largest - logit) * self.factor;
        let place = if place < Self::LAST { place } else { Self::LAST };
        (place + ROUNDER).to_bits() as usize % BUCKETS
    }

    /// About the logit above which the bucket before this one begins.
    fn upper_border(self, bucket: usize) -> f32 {
        self.largest - (bucket as f32 - 0.5) / self.factor
    }
}

/// The bucket in which the mass, added up from `above` on, reaches the target, and the mass of all before it.
fn end_bucket(histogram: &[f64; BUCKETS], above: f64, target: f64) -> Option<(usize, f64)> {
    let mut before = above;
    for (bucket, &mass) in histogram.iter().enumerate() {
        if mass > 0.0 && before + mass >= target {
            return Some((bucket, before));
        }
        before += mass;
    }
    None
}

/// A number that is smaller the better a token ranks: the logit's bits made sortable, then the id.
fn key_of(logit: f32, token: u32) -> u64 {
    let bits = (logit + 0.0).to_bits(); // -0.0 ranks as 0.0
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!ascending) << 32 | u64::from(token)
}

/// The token of a key.
pub(super) fn token_of(key: u64) -> u32 {
    key as u32
}

/// The logit of a key.
fn logit_of(key: u64) -> f32 {
    let ascending = !((key >> 32) as u32);
    f32::from_bits(if ascending >> 31 == 0 { !ascending } else { ascending & !(1 << 31) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{extremes::LogitError, math, rng};

    /// Lengths around a block, around the fewest blocks that are sampled, and that of a real vocabulary.
    const LENGTHS: [usize; 9] = [1, 5, 63, 64, 65, 200, 2047, 2053, 50_257];

    /// Logits of several kinds: spread, peaked, of few values, all equal, of a few values far below, and some of which the sample is
    /// nothing like the rest.
    fn rows(length: usize) -> Vec<Vec<f32>> {
        let uniform = |seed, token| rng::draw(seed, token as u64) as f32;
        let row = |logit: &dyn Fn(usize) -> f32| (0..length).map(logit).collect();
        let is_sampled = |token: usize| token % BLOCK < SAMPLED;
        vec![
            row(&|token| uniform(1, token) - 0.5),
            row(&|token| -3.0 * uniform(2, token).max(1e-6).ln()),
            row(&|token| (uniform(3, token) * 4.0).floor()),
            row(&|_| -2.5),
            row(&|token| if token % 7 == 3 { f32::MIN } else { uniform(4, token) }),
            row(&|token| uniform(5, token) + if is_sampled(token) { 3.0 } else { 0.0 }),
            row(&|token| uniform(6, token) - if is_sampled(token) { 3.0 } else { 0.0 }),
            row(&|token| if token == length / 2 { 40.0 } else { -uniform(7, token) }),
        ]
    }

    fn extremes(logits: &[f32]) -> Result<Extremes, LogitError> {
        let mut extremes = Extremes::default();
        extremes.look(logits).map(|()| extremes)
    }

    /// All tokens, best first.
    fn sorted(logits: &[f32]) -> Vec<u32> {
        let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
        tokens.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        tokens
    }

    #[test]
    fn the_best_tokens_are_the_head_of_a_full_sort() {
        let mut ranking = Ranking::default();
        for logits in LENGTHS.into_iter().flat_map(rows) {
            let extremes = extremes(&logits).unwrap();
            let expected = sorted(&logits);
            for count in [0, 1, 2, 20, 64, 700, 100_000] {
                let best: Vec<u32> = ranking.best(&logits, &extremes, count).iter().copied().map(token_of).collect();
                assert_eq!(best, expected[..count.min(logits.len())], "{count} of {}", logits.len());
            }
        }
    }

    #[test]
    fn a_cut_is_where_a_full_sort_reaches_the_target() {
        let mut ranking = Ranking::default();
        for logits in LENGTHS.into_iter().flat_map(rows) {
            let extremes = extremes(&logits).unwrap();
            let expected = sorted(&logits);
            // Multiples of 2^-24, whose sums are exact in any order.
            let weight = |logit: f32| (math::exp2(logit - extremes.largest) * 16_777_216.0).round() / 16_777_216.0;
            let weights: Vec<f32> = logits.iter().copied().map(weight).collect();
            for mass in [Mass::One, Mass::Weights(&weights)] {
                let total: f64 = expected.iter().map(|&token| mass.of(token)).sum();
                for share in [1e-6, 0.1, 0.5, 0.9, 0.95, 0.999, 1.0, 1.1] {
                    let target = total * share;
                    let mut reached = 0.0;
                    let last = expected.iter().copied().find(|&token| {
                        reached += mass.of(token);
                        reached >= target
                    });
                    let cut = ranking.cut(&logits, &extremes, mass, (target, total));
                    assert_eq!(cut.map(|cut| cut.token), last, "{share} of {}", logits.len());
                }
            }
        }
    }

    #[test]
    fn a_cut_clears_what_ranks_behind_its_token() {
        let mut ranking = Ranking::default();
        for logits in LENGTHS.into_iter().flat_map(rows) {
            let extremes = extremes(&logits).unwrap();
            let (expected, count) = (sorted(&logits), logits.len().div_ceil(3));
            let mut weights = vec![1.0; logits.len()];
            let cut = ranking.cut(&logits, &extremes, Mass::One, (count as f64, logits.len() as f64)).unwrap();
            cut.clear_tail(&logits, &extremes, &mut weights);
            for (rank, token) in expected.into_iter().enumerate() {
                assert_eq!(weights[token as usize] == 1.0, rank < count, "rank {rank} of {}", logits.len());
            }
        }
    }

    #[test]
    fn a_key_holds_its_logit_and_its_token() {
        for logit in [0.0, 1.5, -1.5, f32::MIN, f32::MAX, f32::MIN_POSITIVE, -f32::MIN_POSITIVE] {
            assert_eq!((logit_of(key_of(logit, 7)), token_of(key_of(logit, 7))), (logit, 7));
        }
        assert_eq!(key_of(-0.0, 1), key_of(0.0, 1));
    }
}
