//! The best tokens without sorting the vocabulary.
//!
//! Tokens are ranked by logit, the larger first, ties to the lower id. [`Ranking::best`] lists a
//! short prefix of the ranking: the k-th largest maximum of a block of logits is a lower bound of
//! the k-th largest logit, so only the few tokens that reach it are sorted. [`Ranking::cutoff`]
//! finds the end of a prefix whose mass reaches a target: with mass 1 a token that is a large
//! top-k, with probabilities it is top-p. Adding up what lies above a logit is quick, so two logits
//! between which the prefix ends are brought together by halving, until so few tokens are between
//! them that they can be sorted.
//!
//! Worked example, a target of 3 with mass 1 and logits 9.0, 2.0, 8.5, 8.0, 8.6, if two were few
//! enough to be sorted: from 2.0 up there are five; from 5.5 up, halfway to the largest, four; from
//! 7.25 up four; from 8.125 up three, which is enough; from 8.5625 up two, which is not. So the
//! third lies between these: 8.5.

use wide::f32x8;

use super::{
    logit_stats::LogitStats,
    math::{self, BLOCK, LANES},
};

/// How far below the largest logit the end of a prefix is looked for by halving.
const BISECTION_RANGE: f32 = 32.0;

/// Below this many candidates, sort directly.
const SORT_THRESHOLD: u32 = 256;

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

/// The end of a prefix of the ranking: the last token that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cutoff {
    /// The logit of that token: no token with a smaller one belongs to the prefix.
    logit: f32,
    /// Its id: of the tokens with the same logit only those up to this one belong to the prefix.
    token: u32,
}

impl Cutoff {
    /// Sets the weight of every token outside the prefix to zero, and the sums to those of the
    /// blocks of weights that are left.
    pub(super) fn clear_tail(self, logits: &[f32], logit_stats: &LogitStats, weights: &mut [f32], sums: &mut [f32]) {
        let blocks = logits.chunks(BLOCK).zip(weights.chunks_mut(BLOCK)).zip(&logit_stats.maxima).zip(sums);
        for (index, (((logits, weights), &largest), sum)) in blocks.enumerate() {
            if largest < self.logit {
                weights.fill(0.0);
                *sum = 0.0;
            } else {
                self.clear_block(index * BLOCK, logits, weights);
                *sum = math::sum(weights);
            }
        }
    }

    /// Sets the weight of every token outside the prefix to zero, in the block that starts with the
    /// token `first`.
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

    /// Whether any of the logits is in the range; in lanes, so that compilers can vectorise.
    #[inline(always)]
    fn has_any_of(self, logits: &[f32; LANES]) -> bool {
        let (low, high) = (f32x8::splat(self.low), f32x8::splat(self.high));
        let found = logits.as_chunks::<8>().0.iter().map(|&logits| {
            let logits = f32x8::new(logits);
            logits.simd_ge(low) & logits.simd_lt(high)
        });
        found.fold(f32x8::ZERO, |any, found| any | found).any()
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
    pub(super) fn best(&mut self, logits: &[f32], logit_stats: &LogitStats, count: usize) -> &[u64] {
        let low = self.lower_bound(logit_stats, count);
        self.gather(logits, logit_stats, Range { low, ..Range::ALL });
        if (1..self.keys.len()).contains(&count) {
            self.keys.select_nth_unstable(count - 1);
        }
        self.keys.truncate(count);
        self.keys.sort_unstable();
        &self.keys
    }

    /// A logit that at least `count` tokens reach, if there are as many: each of `count` blocks has
    /// one.
    fn lower_bound(&mut self, logit_stats: &LogitStats, count: usize) -> f32 {
        if !(1..=logit_stats.maxima.len()).contains(&count) {
            return f32::NEG_INFINITY;
        }
        self.maxima.clear();
        self.maxima.extend_from_slice(&logit_stats.maxima);
        *self.maxima.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
    }

    /// The end of the shortest prefix of the ranking whose mass reaches `target`, looked for from
    /// the logit `low` up; none if even the whole ranking does not reach it.
    pub(super) fn cutoff(
        &mut self,
        logits: &[f32],
        logit_stats: &LogitStats,
        mass: Mass<'_>,
        target: f64,
        low: f32,
    ) -> Option<Cutoff> {
        let (outer, inner) =
            around(target, low, logit_stats.largest, |low| Prefix::from(low, logits, logit_stats, mass));
        self.gather(logits, logit_stats, Range { low: outer.low, high: inner.low });
        self.keys.sort_unstable();
        let mut reached = inner.mass;
        let last = self.keys.iter().map(|&key| token_of(key)).find(|&token| {
            reached += mass.of(token);
            reached >= target
        });
        // A prefix's mass is added up in another order, so rounding may leave the target just out
        // of reach.
        let token =
            last.or_else(|| (outer.mass >= target).then(|| self.keys.last().copied().map(token_of)).flatten())?;
        Some(Cutoff { logit: logits[token as usize], token })
    }

    /// Gathers the keys of the tokens with logits in `range`. Blocks that have none are passed over
    /// as a whole.
    fn gather(&mut self, logits: &[f32], logit_stats: &LogitStats, range: Range) {
        self.keys.clear();
        let blocks = logits.chunks(BLOCK).zip(&logit_stats.maxima).enumerate();
        for (index, (block, _)) in blocks.filter(|(_, (_, largest))| **largest >= range.low) {
            let (chunks, rest) = block.as_chunks::<LANES>();
            for (chunk, first) in chunks.iter().zip((index * BLOCK..).step_by(LANES)) {
                if range.has_any_of(chunk) {
                    self.keep(range, chunk, first as u32);
                }
            }
            self.keep(range, rest, (index * BLOCK + chunks.len() * LANES) as u32);
        }
    }

    /// Adds the keys of the logits in `range`, of at most [`LANES`], to those gathered. The first
    /// is that of the token `first`.
    #[inline(always)]
    fn keep(&mut self, range: Range, logits: &[f32], first: u32) {
        let (mut kept, mut count) = ([0u32; LANES], 0);
        for (&logit, offset) in logits.iter().zip(0..) {
            kept[count % LANES] = offset;
            count += usize::from(range.contains(logit));
        }
        let kept = kept[..count.min(LANES)].iter();
        self.keys.extend(kept.map(|&offset| key_of(logits[offset as usize % LANES], first + offset)));
    }
}

/// Whether the tokens that rank before one of them have less mass than `target`: whether it belongs
/// to the shortest prefix that reaches that.
pub(super) fn begins_within(target: f64, token: u32, logits: &[f32], logit_stats: &LogitStats, mass: Mass<'_>) -> bool {
    let (logit, own) = (logits[token as usize], mass.of(token));
    // With those that rank behind it by their id alone: hardly ever are there any.
    if Prefix::from(logit, logits, logit_stats, mass).mass - own < target {
        return true;
    }
    let tied = logits[..token as usize].iter().filter(|&&other| other == logit).count();
    Prefix::from(logit.next_up(), logits, logit_stats, mass).mass + own * (tied as f64) < target
}

/// The tokens with logits from `low` up.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    low: f32,
    mass: f64,
    count: u32,
}

impl Prefix {
    /// Adds up; blocks below are passed over as a whole.
    fn from(low: f32, logits: &[f32], logit_stats: &LogitStats, mass: Mass<'_>) -> Self {
        let mut prefix = Self { low, mass: 0.0, count: 0 };
        let blocks = logits.chunks(BLOCK).zip(&logit_stats.maxima).enumerate();
        for (index, (block, _)) in blocks.filter(|(_, (_, largest))| **largest >= low) {
            let (mass, count) = block_from(low, block, mass.of_block(index * BLOCK, block.len()));
            prefix.mass += f64::from(mass);
            prefix.count += count;
        }
        prefix
    }
}

/// A prefix that reaches `target`, if any does, and one within it that does not, with few tokens
/// between them if halving can tell them apart.
fn around(target: f64, low: f32, largest: f32, prefix: impl Fn(f32) -> Prefix) -> (Prefix, Prefix) {
    let mut inner = Prefix { low: largest.next_up(), mass: 0.0, count: 0 };
    let mut outer = prefix(low.max(largest - BISECTION_RANGE));
    if outer.mass < target {
        (outer, inner) = (prefix(f32::NEG_INFINITY), outer);
    }
    while outer.count - inner.count > SORT_THRESHOLD {
        let middle = outer.low + (inner.low - outer.low) / 2.0;
        let halves = outer.low < middle && middle < inner.low;
        if !halves {
            break;
        }
        let prefix = prefix(middle);
        *if prefix.mass < target { &mut inner } else { &mut outer } = prefix;
    }
    (outer, inner)
}

/// The mass and the number of the tokens of a block with logits from `low` up.
#[inline(always)]
pub(super) fn block_from(low: f32, logits: &[f32], masses: &[f32]) -> (f32, u32) {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (mass_chunks, mass_rest) = masses.as_chunks::<LANES>();
    let (mut sums, mut counts) = (f32x8::ZERO, f32x8::ZERO);
    for (logits, masses) in chunks.iter().zip(mass_chunks) {
        // Two vectors in each turn, as in `math::map`.
        for (&logits, &masses) in logits.as_chunks::<8>().0.iter().zip(masses.as_chunks::<8>().0) {
            let reach = f32x8::new(logits).simd_ge(f32x8::splat(low));
            sums += reach & f32x8::new(masses);
            counts += reach & f32x8::ONE;
        }
    }
    let (mut sum, mut count) = (math::sum(&sums.to_array()), math::sum(&counts.to_array()) as u32);
    for (_, &mass) in rest.iter().zip(mass_rest).filter(|(logit, _)| **logit >= low) {
        sum += mass;
        count += 1;
    }
    (sum, count)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{logit_stats::LogitError, rng};

    /// Lengths around a block and around what is sorted without more ado, and that of a real
    /// vocabulary.
    const LENGTHS: [usize; 9] = [1, 5, 63, 64, 65, 256, 257, 2053, 50_257];

    /// Logits of several kinds: spread, peaked, of few values, all equal, of a few values far
    /// below, and a single large one.
    fn rows(length: usize) -> Vec<Vec<f32>> {
        let uniform = |seed, token| rng::draw(seed, token as u64) as f32;
        let row = |logit: &dyn Fn(usize) -> f32| (0..length).map(logit).collect();
        vec![
            row(&|token| uniform(1, token) - 0.5),
            row(&|token| -3.0 * uniform(2, token).max(1e-6).ln()),
            row(&|token| (uniform(3, token) * 4.0).floor()),
            row(&|_| -2.5),
            row(&|token| if token % 7 == 3 { f32::MIN } else { uniform(4, token) }),
            row(&|token| if token == length / 2 { 40.0 } else { -uniform(5, token) }),
        ]
    }

    fn logit_stats(logits: &[f32]) -> Result<LogitStats, LogitError> {
        let mut logit_stats = LogitStats::default();
        logit_stats.look(logits).map(|()| logit_stats)
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
            let logit_stats = logit_stats(&logits).unwrap();
            let expected = sorted(&logits);
            for count in [0, 1, 2, 20, 64, 700, 100_000] {
                let best: Vec<u32> = ranking.best(&logits, &logit_stats, count).iter().copied().map(token_of).collect();
                assert_eq!(best, expected[..count.min(logits.len())], "{count} of {}", logits.len());
            }
        }
    }

    #[test]
    fn a_cut_is_where_a_full_sort_reaches_the_target() {
        let mut ranking = Ranking::default();
        for logits in LENGTHS.into_iter().flat_map(rows) {
            let logit_stats = logit_stats(&logits).unwrap();
            let expected = sorted(&logits);
            // Multiples of 2^-16, whose sums are exact in any order, those of a block in f32.
            let weight = |logit: f32| (math::exp2(logit - logit_stats.largest) * 65_536.0).round() / 65_536.0;
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
                    for low in [f32::NEG_INFINITY, logit_stats.largest - 0.3, logit_stats.largest] {
                        let cut = ranking.cutoff(&logits, &logit_stats, mass, target, low);
                        assert_eq!(cut.map(|cut| cut.token), last, "{share} of {} from {low}", logits.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_cut_clears_what_ranks_behind_its_token() {
        let mut ranking = Ranking::default();
        for logits in LENGTHS.into_iter().flat_map(rows) {
            let logit_stats = logit_stats(&logits).unwrap();
            let (expected, count) = (sorted(&logits), logits.len().div_ceil(3));
            let mut weights = vec![1.0; logits.len()];
            let mut sums = vec![0.0; logits.len().div_ceil(BLOCK)];
            let cut = ranking.cutoff(&logits, &logit_stats, Mass::One, count as f64, f32::NEG_INFINITY).unwrap();
            cut.clear_tail(&logits, &logit_stats, &mut weights, &mut sums);
            assert_eq!(sums.iter().sum::<f32>() as usize, count);
            for (rank, token) in expected.into_iter().enumerate() {
                assert_eq!(weights[token as usize] == 1.0, rank < count, "rank {rank} of {}", logits.len());
            }
        }
    }

    #[test]
    fn a_key_is_smaller_for_a_larger_logit_and_for_a_lower_token() {
        let falling = [f32::MAX, 1.5, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, -1.5, f32::MIN];
        assert!(falling.windows(2).all(|pair| key_of(pair[0], 9) < key_of(pair[1], 3)));
        assert!(key_of(0.0, 1) < key_of(-0.0, 2) && key_of(-0.0, 1) < key_of(0.0, 2));
        assert_eq!(token_of(key_of(-1.5, 7)), 7);
    }
}
