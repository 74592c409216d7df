//! The largest logits, of all and of every block, and whether all are finite: the first look at
//! what a model returned.

use super::math::{self, BLOCK, LANES};

/// A logit is no finite number, so nothing can be sampled.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the logit of token {token} is `{value}`; every logit must be a finite number")]
pub struct LogitError {
    /// The first such token.
    pub token: u32,
    /// Its logit: NaN or infinite.
    pub value: f32,
}

/// The largest of some logits, all of them finite, and the largest of every block of them: the
/// search for large logits passes over most blocks as a whole. The buffer is reused from token to
/// token.
#[derive(Debug, Default)]
pub(super) struct LogitStats {
    /// The largest logit.
    pub(super) largest: f32,
    /// The largest logit of each [`BLOCK`]; the last block may be shorter.
    pub(super) maxima: Vec<f32>,
}

impl LogitStats {
    /// Looks at every logit once; there must be at least one.
    pub(super) fn look(&mut self, logits: &[f32]) -> Result<(), LogitError> {
        // The sum of finite values may overflow, but a sum with a value that is not finite never is
        // finite.
        let mut sums = [0.0f32; LANES];
        let (blocks, rest) = logits.as_chunks::<BLOCK>();
        self.maxima.clear();
        self.maxima.extend(blocks.iter().map(|block| largest_of(block, &mut sums)));
        if !rest.is_empty() {
            self.maxima.push(largest_of(rest, &mut sums));
        }
        if sums.iter().any(|sum| !sum.is_finite())
            && let Some(token) = position(logits, |logit| !logit.is_finite())
        {
            return Err(LogitError { token: token as u32, value: logits[token] });
        }
        self.largest = self.maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Ok(())
    }

    /// The lowest token with the largest logit.
    pub(super) fn best(&self, logits: &[f32]) -> u32 {
        let block = self.maxima.iter().position(|&largest| largest == self.largest).unwrap_or(0);
        let start = block * BLOCK;
        let offset = logits[start..].iter().position(|&logit| logit == self.largest).unwrap_or(0);
        (start + offset) as u32
    }
}

/// The largest of the values, which are added to the sums.
#[inline(always)]
fn largest_of(values: &[f32], sums: &mut [f32; LANES]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut look = |lane: usize, value: f32| {
        largest[lane] = if value > largest[lane] { value } else { largest[lane] };
        sums[lane] += value;
    };
    for chunk in chunks {
        for (lane, &value) in chunk.iter().enumerate() {
            look(lane, value);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        look(lane, value);
    }
    math::join_lanes(largest, |a, b| if b > a { b } else { a })
}

/// Where the first logit is that is `wanted`. Whole chunks are looked at together, so that
/// compilers can vectorise.
fn position(logits: &[f32], wanted: impl Fn(f32) -> bool) -> Option<usize> {
    let any = |chunk: &[f32]| chunk.iter().fold(false, |any, &logit| any | wanted(logit));
    let chunk = logits.chunks(4 * LANES).position(any)?;
    let start = chunk * 4 * LANES;
    logits[start..].iter().position(|&logit| wanted(logit)).map(|offset| start + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_found_at_every_place_and_in_every_block() {
        let mut logit_stats = LogitStats::default();
        for length in [1, 15, 16, 17, 63, 64, 65, 200] {
            for place in 0..length {
                let mut logits = vec![0.5; length];
                logits[place] = 7.0;
                assert_eq!(logit_stats.look(&logits), Ok(()));
                assert_eq!(logit_stats.largest, 7.0);
                let expected: Vec<f32> =
                    logits.chunks(BLOCK).map(|block| block.iter().copied().fold(f32::MIN, f32::max)).collect();
                assert_eq!(logit_stats.maxima, expected);
                assert_eq!(logit_stats.best(&logits), place as u32);
            }
        }
    }

    #[test]
    fn of_equal_logits_the_lowest_token_is_best() {
        let mut logits = vec![-1.0; 200];
        logits[70] = 3.0;
        logits[71] = 3.0;
        logits[199] = 3.0;
        let mut logit_stats = LogitStats::default();
        assert_eq!(logit_stats.look(&logits), Ok(()));
        assert_eq!(logit_stats.best(&logits), 70);
    }

    #[test]
    fn finite_logits_whose_sum_is_not_are_accepted() {
        let mut logits = vec![f32::MIN; 300];
        logits[200] = f32::MAX;
        let mut logit_stats = LogitStats::default();
        assert_eq!(logit_stats.look(&logits), Ok(()));
        assert_eq!(logit_stats.best(&logits), 200);
    }

    #[test]
    fn a_logit_that_is_not_finite_is_refused_by_name() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 16, 63, 64, 99] {
                let mut logits = vec![1.0; 100];
                logits[place] = value;
                let error = LogitStats::default().look(&logits).map_err(|error| (error.token, error.value.to_bits()));
                assert_eq!(error, Err((place as u32, value.to_bits())));
            }
        }
        let error = LogitError { token: 17, value: f32::NEG_INFINITY };
        assert_eq!(error.to_string(), "the logit of token 17 is `-inf`; every logit must be a finite number");
    }
}
