//! What moves a token's logit before sampling: penalties for what was written already, the
//! request's own bias, and exclusion.
//!
//! The order is fixed: repetition penalty (on prompt and output, as in CTRL and Hugging Face's
//! `transformers`), frequency and presence penalty (on the output alone, as OpenAI defines them),
//! then bias. Only the logits of tokens that occur or are named are touched, so the cost does not
//! grow with the vocabulary.
//!
//! A repetition penalty close to zero, or close to the largest f32, takes logits out of an f32's
//! range. Sampling depends on the distances of logits alone, so then all of them are computed in
//! f64, which has room for any, as distances from the largest: of two that are out of range the
//! better one stays the better one.

use std::{
    collections::BTreeMap,
    ops::{Add, Div, Mul, Sub},
};

use super::sampling::Sampling;

/// The tokens of one sequence, counted.
#[derive(Debug, Clone, Default)]
pub struct Penalties {
    /// How often the model wrote each token that occurs; zero for one that stands in the prompt
    /// alone.
    written: BTreeMap<u32, u32>,
}

impl Penalties {
    /// Starts with a prompt.
    pub fn new(prompt: &[u32]) -> Self {
        Self { written: prompt.iter().map(|&token| (token, 0)).collect() }
    }

    /// Counts a token that the model wrote.
    pub fn count(&mut self, token: u32) {
        *self.written.entry(token).or_default() += 1;
    }

    /// Moves the logits, and makes the tokens `excluded` less likely than any other. Finite logits
    /// stay finite; others stay as they are, to be reported. Tokens outside `logits` are passed
    /// over: a valid request has none.
    pub fn apply(&self, sampling: &Sampling, excluded: &[u32], logits: &mut [f32]) {
        if self.overflows(sampling, logits) {
            let mut wide: Vec<f64> = logits.iter().copied().map(f64::from).collect();
            self.shift(sampling, &mut wide);
            count_from_largest(&wide, excluded, logits);
        } else {
            self.shift(sampling, logits);
        }
        exclude(excluded, logits);
    }

    /// Whether a penalty takes a logit out of an f32's range. A bias cannot: it is less than half
    /// the distance of the largest f32s.
    fn overflows(&self, sampling: &Sampling, logits: &[f32]) -> bool {
        let overflows = |(&token, &written): (&u32, &u32)| {
            let logit = logits.get(token as usize).filter(|logit| logit.is_finite());
            logit.is_some_and(|&logit| !penalised(logit, written, sampling).is_finite())
        };
        sampling.has_penalties() && self.written.iter().any(overflows)
    }

    /// Applies penalties and bias.
    fn shift<T: Real>(&self, sampling: &Sampling, logits: &mut [T]) {
        if sampling.has_penalties() {
            for (&token, &written) in &self.written {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = penalised(*logit, written, sampling);
                }
            }
        }
        for &(token, bias) in &sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = *logit + T::from(bias);
            }
        }
    }
}

/// f32, and f64 where that is too narrow.
trait Real:
    Copy + From<f32> + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
}

impl Real for f32 {}
impl Real for f64 {}

/// The logit of a token that occurs. A repetition penalty above 1 makes it rarer on either side of
/// zero.
fn penalised<T: Real>(logit: T, written: u32, sampling: &Sampling) -> T {
    let repetition = T::from(sampling.repetition_penalty);
    let logit = if logit > T::from(0.0f32) { logit / repetition } else { logit * repetition };
    if written == 0 {
        return logit;
    }
    logit - T::from(written as f32) * T::from(sampling.frequency_penalty) - T::from(sampling.presence_penalty)
}

/// Sets every finite logit to its distance from the largest of those that are not excluded. A
/// distance beyond the range of f32 is as good as its end: at no temperature does such a token have
/// any weight.
fn count_from_largest(wide: &[f64], excluded: &[u32], logits: &mut [f32]) {
    let allowed = wide.iter().zip(0u32..).filter(|(logit, token)| logit.is_finite() && !excluded.contains(token));
    let largest = allowed.map(|(&logit, _)| logit).fold(f64::MIN, f64::max);
    for (logit, wide) in logits.iter_mut().zip(wide).filter(|(logit, _)| logit.is_finite()) {
        *logit = (wide - largest).clamp(f32::MIN.into(), f32::MAX.into()) as f32;
    }
}

/// Makes tokens less likely than any other. A logit that is not finite stays, to be reported.
fn exclude(tokens: &[u32], logits: &mut [f32]) {
    for &token in tokens {
        if let Some(logit) = logits.get_mut(token as usize).filter(|logit| logit.is_finite()) {
            *logit = f32::MIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logits of tokens 0 to 3 after prompt `[0, 1]` and output `[1, 2, 2]`, all 1.0 but token
    /// 2, which is -1.0.
    fn after_prompt_and_output(sampling: &Sampling) -> Vec<f32> {
        let mut penalties = Penalties::new(&[0, 1]);
        for token in [1, 2, 2] {
            penalties.count(token);
        }
        let mut logits = vec![1.0, 1.0, -1.0, 1.0];
        penalties.apply(sampling, &[], &mut logits);
        logits
    }

    #[test]
    fn without_penalties_nothing_moves() {
        assert_eq!(after_prompt_and_output(&Sampling::default()), [1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn the_repetition_penalty_counts_the_prompt_and_lowers_on_both_sides_of_zero() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        assert_eq!(after_prompt_and_output(&sampling), [0.5, 0.5, -2.0, 1.0]);
    }

    #[test]
    fn the_frequency_penalty_grows_with_every_time_a_token_was_written() {
        let sampling = Sampling { frequency_penalty: 0.5, ..Sampling::default() };
        assert_eq!(after_prompt_and_output(&sampling), [1.0, 0.5, -2.0, 1.0]);
    }

    #[test]
    fn the_presence_penalty_counts_once_and_not_for_the_prompt() {
        let sampling = Sampling { presence_penalty: 0.5, ..Sampling::default() };
        assert_eq!(after_prompt_and_output(&sampling), [1.0, 0.5, -1.5, 1.0]);
    }

    #[test]
    fn the_bias_is_added_last_and_to_any_token() {
        let sampling =
            Sampling { repetition_penalty: 2.0, logit_bias: vec![(0, 3.0), (3, -3.0)], ..Sampling::default() };
        assert_eq!(after_prompt_and_output(&sampling), [3.5, 0.5, -2.0, -2.0]);
    }

    /// The logits of tokens 0 to 3, of which the first three stand in the prompt, with `excluded`.
    fn after_prompt(repetition_penalty: f32, excluded: &[u32], mut logits: [f32; 4]) -> [f32; 4] {
        let sampling = Sampling { repetition_penalty, ..Sampling::default() };
        Penalties::new(&[0, 1, 2]).apply(&sampling, excluded, &mut logits);
        logits
    }

    #[test]
    fn of_two_logits_that_a_tiny_repetition_penalty_takes_out_of_range_the_better_stays_the_better() {
        for repetition_penalty in [1e-38, f32::from_bits(1)] {
            let logits = after_prompt(repetition_penalty, &[], [5.0, 7.0, -3.0, 8.0]);
            assert_eq!(logits[1], 0.0);
            assert!([0, 2, 3].iter().all(|&other| logits[other] < -1e38), "{logits:?}");
        }
        assert_eq!(after_prompt(1e-38, &[], [7.0, 7.0, -3.0, 8.0])[..2], [0.0, 0.0], "equal ones stay equal");
    }

    #[test]
    fn where_a_huge_repetition_penalty_takes_all_out_of_range_the_best_is_left() {
        assert_eq!(after_prompt(f32::MAX, &[3], [-3.0, -2.0, -2.5, 9.0])[1], 0.0);
        let [_, _, lowered, free] = after_prompt(f32::MAX, &[], [1.0, 0.0, -2.0, -50.0]);
        assert_eq!((lowered, free), (f32::MIN, -50.0));
    }

    #[test]
    fn an_excluded_token_does_not_hide_the_distances_of_others() {
        let logits = after_prompt(1e-38, &[0, 3], [9.0, -2.0, -3.0, 8.0]);
        assert_eq!((logits[0], logits[3]), (f32::MIN, f32::MIN));
        assert!(logits[1..3].iter().all(|logit| logit.abs() < 1e-30), "{logits:?}");
    }

    #[test]
    fn a_logit_that_is_not_finite_stays_to_be_reported() {
        for value in [f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(after_prompt(1e-38, &[3], [5.0, 7.0, 1.0, value])[3], value);
        }
        assert!(after_prompt(1e-38, &[], [5.0, 7.0, 1.0, f32::NAN])[3].is_nan());
    }
}
