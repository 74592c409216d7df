//! The largest logit, and whether all are finite: the first look at what a model returned.

use super::math::LANES;

/// A logit is no finite number, so nothing can be sampled.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the logit of token {token} is `{value}`; every logit must be a finite number")]
pub struct LogitError {
    /// The first such token.
    pub token: u32,
    /// Its logit: NaN or infinite.
    pub value: f32,
}

/// The smallest and the largest of some logits, all of them finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) smallest: f32,
    pub(super) largest: f32,
}

impl Extremes {
    /// Looks at every logit once; there must be at least one.
    pub(super) fn of(logits: &[f32]) -> Result<Self, LogitError> {
        let mut smallest = [f32::INFINITY; LANES];
        let mut largest = [f32::NEG_INFINITY; LANES];
        let mut poison = [0.0f32; LANES]; // 0, or NaN as soon as a value is not finite
        let (chunks, rest) = logits.as_chunks::<LANES>();
        let mut look = |lane: usize, value: f32| {
            smallest[lane] = if value < smallest[lane] { value } else { smallest[lane] };
            largest[lane] = if value > largest[lane] { value } else { largest[lane] };
            poison[lane] += value * 0.0;
        };
        for chunk in chunks {
            for (lane, &value) in chunk.iter().enumerate() {
                look(lane, value);
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            look(lane, value);
        }
        if poison.iter().any(|lane| lane.is_nan()) {
            return Err(first_not_finite(logits));
        }
        Ok(Self {
            smallest: smallest.into_iter().fold(f32::INFINITY, f32::min),
            largest: largest.into_iter().fold(f32::NEG_INFINITY, f32::max),
        })
    }

    /// The lowest token with the largest logit.
    pub(super) fn best(self, logits: &[f32]) -> u32 {
        position(logits, |logit| logit == self.largest).unwrap_or(0) as u32
    }
}

/// The error that names the first logit that is not finite.
fn first_not_finite(logits: &[f32]) -> LogitError {
    let token = position(logits, |logit| !logit.is_finite()).unwrap_or(0);
    LogitError { token: token as u32, value: logits[token] }
}

/// Where the first logit is that is `wanted`. Whole chunks are looked at together, so that compilers can vectorise.
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
    fn the_largest_and_the_smallest_are_found_at_every_place() {
        for length in [1, 15, 16, 17, 100] {
            for place in 0..length {
                let mut logits = vec![0.5; length];
                logits[place] = 7.0;
                let extremes = Extremes::of(&logits);
                let smallest = if length == 1 { 7.0 } else { 0.5 };
                assert_eq!(extremes, Ok(Extremes { smallest, largest: 7.0 }));
                assert_eq!(extremes.map(|extremes| extremes.best(&logits)), Ok(place as u32));
            }
        }
    }

    #[test]
    fn of_equal_logits_the_lowest_token_is_best() {
        let mut logits = vec![-1.0; 200];
        logits[70] = 3.0;
        logits[71] = 3.0;
        logits[199] = 3.0;
        assert_eq!(Extremes::of(&logits).map(|extremes| extremes.best(&logits)), Ok(70));
    }

    #[test]
    fn a_logit_that_is_not_finite_is_refused_by_name() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 16, 99] {
                let mut logits = vec![1.0; 100];
                logits[place] = value;
                let error = Extremes::of(&logits).map_err(|error| (error.token, error.value.to_bits()));
                assert_eq!(error, Err((place as u32, value.to_bits())));
            }
        }
        let error = LogitError { token: 17, value: f32::NEG_INFINITY };
        assert_eq!(error.to_string(), "the logit of token 17 is `-inf`; every logit must be a finite number");
    }
}
