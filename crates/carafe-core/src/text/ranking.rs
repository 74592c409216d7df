//! The best tokens without sorting the vocabulary.
//!
//! Tokens are ranked by logit, the larger first, ties to the lower id. [`Ranking::cut`] finds the shortest head of the ranking
//! whose mass reaches a target: with mass 1 a token that is top-k, with probabilities it is top-p. It does so in two steps: a
//! histogram of the mass over [`BUCKETS`] equal ranges of logits says in which range the head ends, and only that range is sorted.
//!
//! Worked example, top-k with k = 3 and logits 9.0, 2.0, 8.5, 8.0, 8.6: the ranges of 9.0, of 8.6 and 8.5, and of 8.0 and below hold
//! 1, 2 and 2 tokens; the third token is in the second range; sorting 8.6, 8.5 shows that the head ends with 8.5.

use std::iter;

use super::extremes::Extremes;

/// How many ranges the histogram has; a power of two, so that the bucket's number can be masked out of a float.
const BUCKETS: usize = 1024;

/// How far below the largest logit the ranges reach; all logits further down share the last one.
const DEPTH: f32 = 32.0;

/// What a token counts towards the target.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mass<'a> {
    /// Every token counts 1.
    One,
    /// Every token counts its weight, finite and not negative.
    Weights(&'a [f32]),
}

impl Mass<'_> {
    /// The mass of one token.
    fn of(self, token: u32) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Weights(weights) => f64::from(weights[token as usize]),
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
    pub(super) fn clear_tail(self, logits: &[f32], weights: &mut [f32]) {
        let tied = (self.token as usize + 1).min(weights.len());
        for (weight, &logit) in weights[..tied].iter_mut().zip(&logits[..tied]) {
            *weight = if logit >= self.logit { *weight } else { 0.0 };
        }
        for (weight, &logit) in weights[tied..].iter_mut().zip(&logits[tied..]) {
            *weight = if logit > self.logit { *weight } else { 0.0 };
        }
    }
}

/// Buffers for ranking a vocabulary, reused from token to token.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// The bucket of every token.
    buckets: Vec<u16>,
    /// The tokens of the bucket in which the head ends, as sortable keys.
    keys: Vec<u64>,
}

impl Ranking {
    /// The shortest head of the ranking whose mass reaches `target`, a function of the whole mass; none if even the whole ranking
    /// does not reach it.
    pub(super) fn cut(
        &mut self,
        logits: &[f32],
        extremes: Extremes,
        mass: Mass<'_>,
        target: impl FnOnce(f64) -> f64,
    ) -> Option<Cut> {
        self.assign_buckets(logits, extremes);
        let histogram = self.histogram(mass);
        let target = target(histogram.iter().sum());
        let (bucket, mut reached) = end_bucket(&histogram, target)?;
        self.collect(bucket, logits);
        self.keys.sort_unstable();
        let last = self.keys.iter().find(|&&key| {
            reached += mass.of(token_of(key));
            reached >= target
        });
        // Within the bucket the masses are added in another order, so rounding may leave the target just out of reach.
        let token = token_of(*last.or(self.keys.last())?);
        Some(Cut { logit: logits[token as usize], token })
    }

    /// The `count` best tokens, best first; all of them if there are no more.
    pub(super) fn best(&mut self, logits: &[f32], extremes: Extremes, count: usize) -> Vec<u32> {
        if count == 0 {
            return Vec::new();
        }
        let cut = self.cut(logits, extremes, Mass::One, |_| count as f64);
        let (smallest, last) = cut.map_or((f32::MIN, u64::MAX), |cut| (cut.logit, key_of(cut.logit, cut.token)));
        let candidates = logits.iter().zip(0u32..).filter(|(logit, _)| **logit >= smallest);
        self.keys.clear();
        self.keys.extend(candidates.map(|(&logit, token)| key_of(logit, token)).filter(|&key| key <= last));
        self.keys.sort_unstable();
        self.keys.iter().copied().map(token_of).collect()
    }

    /// Works out every token's bucket: 0 for the largest logits.
    fn assign_buckets(&mut self, logits: &[f32], extremes: Extremes) {
        // Adding 2^23 rounds to an integer and leaves it in the low bits.
        const ROUNDER: f32 = 8_388_608.0;
        const LAST: f32 = (BUCKETS - 1) as f32;
        let depth = (extremes.largest - extremes.smallest).clamp(f32::MIN_POSITIVE, DEPTH);
        let scale = (LAST / depth).min(f32::MAX);
        self.buckets.resize(logits.len(), 0);
        for (bucket, &logit) in self.buckets.iter_mut().zip(logits) {
            let place = (extremes.largest - logit) * scale;
            let place = if place < LAST { place } else { LAST };
            *bucket = (place + ROUNDER).to_bits() as u16 & (BUCKETS - 1) as u16;
        }
    }

    /// The mass of every bucket.
    fn histogram(&self, mass: Mass<'_>) -> [f64; BUCKETS] {
        match mass {
            Mass::One => add_up(&self.buckets, iter::repeat(1.0)),
            Mass::Weights(weights) => add_up(&self.buckets, weights.iter().copied()),
        }
    }

    /// Gathers the keys of the tokens in `bucket`. Most blocks have none of them, and are passed over as a whole.
    fn collect(&mut self, bucket: u16, logits: &[f32]) {
        const BLOCK: usize = 32;
        let (blocks, rest) = self.buckets.as_chunks::<BLOCK>();
        let keys = &mut self.keys;
        keys.clear();
        let mut gather = |first: usize, buckets: &[u16]| {
            let inside = (first..).zip(buckets).filter(|&(_, &other)| other == bucket);
            keys.extend(inside.map(|(token, _)| key_of(logits[token], token as u32)));
        };
        for (index, block) in blocks.iter().enumerate() {
            if block.iter().fold(0, |any, &other| any | u16::from(other == bucket)) != 0 {
                gather(index * BLOCK, block);
            }
        }
        gather(blocks.len() * BLOCK, rest);
    }
}

/// The masses of every bucket, added up in the order of the tokens.
fn add_up(buckets: &[u16], masses: impl Iterator<Item = f32>) -> [f64; BUCKETS] {
    let mut histogram = [0.0; BUCKETS];
    for (&bucket, mass) in buckets.iter().zip(masses) {
        histogram[usize::from(bucket) % BUCKETS] += f64::from(mass);
    }
    histogram
}

/// The bucket in which the mass, added up from the first, reaches the target, and the mass of all before it.
fn end_bucket(histogram: &[f64; BUCKETS], target: f64) -> Option<(u16, f64)> {
    let mut before = 0.0;
    for (bucket, &mass) in (0..).zip(histogram) {
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
fn token_of(key: u64) -> u32 {
    key as u32
}
