//! From the graph's output to ranked probabilities.
//!
//! Scores are ranked by their own value and not by the probability that softmax makes of it, where
//! different scores may round to the same; ties go to the lower index. The sum of softmax runs in
//! index order, in f64, over `libm`'s exponential: the same bits in the sandbox and natively.

use std::cmp::Ordering;

use super::Error;

/// What a graph's scores are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreScale {
    /// f32, to be put through softmax.
    Logits,
    /// f32 in 0 to 1.
    Probabilities,
    /// u8, logits once dequantised.
    QuantisedLogits(Quantisation),
    /// u8, probabilities once dequantised.
    QuantisedProbabilities(Quantisation),
}

/// A u8 score `q` stands for `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// Size of one step, above 0.
    pub scale: f32,
    /// The value that stands for 0.
    pub zero_point: i32,
}

/// One score among the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Place of the score in the graph's output.
    pub index: usize,
    /// 0 to 1.
    pub probability: f32,
}

impl ScoreScale {
    /// Checks the quantisation's numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] naming the number.
    pub fn check(&self) -> Result<(), Error> {
        match self.quantisation() {
            Some(Quantisation { scale, .. }) if !(scale.is_finite() && scale > 0.0) => {
                Err(Error::model(format!("the model's `score_scale` is {scale}, it must be above 0")))
            }
            Some(Quantisation { zero_point, .. }) if !(0..=255).contains(&zero_point) => {
                Err(Error::model(format!("the model's `score_zero_point` is {zero_point}, it must be from 0 to 255")))
            }
            _ => Ok(()),
        }
    }

    /// How many scores `bytes` hold.
    pub fn count(&self, bytes: &[u8]) -> usize {
        if self.quantisation().is_some() { bytes.len() } else { bytes.len() / size_of::<f32>() }
    }

    /// The `k` best scores, best first.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] unless `k` is from 1 to the number of scores; [`Error::Model`] if
    /// a score is no number.
    pub fn top(&self, bytes: &[u8], k: usize) -> Result<Vec<Ranked>, Error> {
        let scores = self.scores(bytes)?;
        if !(1..=scores.len()).contains(&k) {
            return Err(Error::InvalidArgument { name: "top", value: k as u64, least: 1, most: scores.len() as u64 });
        }
        let probabilities = if self.are_logits() { softmax(&scores) } else { scores.clone() };
        let mut order: Vec<usize> = (0..scores.len()).collect();
        let best_first = |a: &usize, b: &usize| by_score(scores[*b], scores[*a]).then(a.cmp(b));
        order.select_nth_unstable_by(k - 1, best_first);
        order.truncate(k);
        order.sort_unstable_by(best_first);
        Ok(order.into_iter().map(|index| Ranked { index, probability: probabilities[index] }).collect())
    }

    fn are_logits(&self) -> bool {
        matches!(self, Self::Logits | Self::QuantisedLogits(_))
    }

    fn quantisation(&self) -> Option<Quantisation> {
        match *self {
            Self::Logits | Self::Probabilities => None,
            Self::QuantisedLogits(quantisation) | Self::QuantisedProbabilities(quantisation) => Some(quantisation),
        }
    }

    /// The real values of the scores.
    fn scores(&self, bytes: &[u8]) -> Result<Vec<f32>, Error> {
        if let Some(Quantisation { scale, zero_point }) = self.quantisation() {
            // At most 255 - 0 and at least 0 - 255, as `check` saw to: exact in f32.
            return Ok(bytes.iter().map(|&q| scale * (i32::from(q) - zero_point) as f32).collect());
        }
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Error::model(format!("the model's scores have {} bytes, no multiple of 4", bytes.len())));
        }
        let scores: Vec<f32> = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        match scores.iter().position(|score| !score.is_finite()) {
            Some(index) => Err(Error::model(format!("the model's score {index} is {}, no number", scores[index]))),
            None => Ok(scores),
        }
    }
}

/// Order of two finite scores; 0 and -0 are equal.
fn by_score(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// Probabilities that sum to 1, `exp(score - largest) / sum`.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|&score| libm::expf(score - largest)).collect();
    let sum: f64 = powers.iter().map(|&power| f64::from(power)).sum();
    powers.into_iter().map(|power| (f64::from(power) / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(scores: &[f32]) -> Vec<u8> {
        scores.iter().flat_map(|score| score.to_le_bytes()).collect()
    }

    fn indices(ranked: &[Ranked]) -> Vec<usize> {
        ranked.iter().map(|one| one.index).collect()
    }

    #[test]
    fn the_best_come_first_and_ties_go_to_the_lower_index() {
        let top = ScoreScale::Probabilities.top(&bytes(&[0.1, 0.3, 0.2, 0.3, 0.1]), 4).unwrap();
        assert_eq!(indices(&top), [1, 3, 2, 0]);
        assert_eq!(top[0].probability, 0.3);
    }

    #[test]
    fn logits_become_probabilities_that_sum_to_one() {
        let top = ScoreScale::Logits.top(&bytes(&[1.0, 2.0, 0.0]), 3).unwrap();
        assert_eq!(indices(&top), [1, 0, 2]);
        let expected = [0.665_240_94, 0.244_728_48, 0.090_030_57];
        for (one, expected) in top.iter().zip(expected) {
            assert!((one.probability - expected).abs() < 1e-6, "{one:?} against {expected}");
        }
    }

    #[test]
    fn logits_that_round_to_the_same_probability_keep_their_order() {
        let top = ScoreScale::Logits.top(&bytes(&[-300.0, -200.0, 0.0]), 3).unwrap();
        assert_eq!(indices(&top), [2, 1, 0]);
        assert_eq!((top[1].probability, top[2].probability), (0.0, 0.0));
    }

    #[test]
    fn quantised_scores_are_read_with_their_scale_and_zero_point() {
        let scale = ScoreScale::QuantisedProbabilities(Quantisation { scale: 0.5, zero_point: 10 });
        let top = scale.top(&[10, 12, 11], 2).unwrap();
        assert_eq!(top, [Ranked { index: 1, probability: 1.0 }, Ranked { index: 2, probability: 0.5 }]);
    }

    #[test]
    fn k_outside_the_scores_is_refused_with_its_range() {
        for k in [0, 4] {
            let refusal = ScoreScale::Logits.top(&bytes(&[1.0, 2.0, 0.0]), k).unwrap_err().to_string();
            assert_eq!(refusal, format!("`top` is {k}, it must be from 1 to 3"));
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_refused_by_its_index() {
        let refusal = ScoreScale::Logits.top(&bytes(&[1.0, f32::NAN]), 1).unwrap_err().to_string();
        assert_eq!(refusal, "the model's score 1 is NaN, no number");
    }

    #[test]
    fn a_zero_point_outside_u8_and_a_scale_of_zero_are_refused() {
        let check = |scale, zero_point| ScoreScale::QuantisedLogits(Quantisation { scale, zero_point }).check();
        assert!(check(0.1, 255).is_ok());
        assert!(check(0.1, 256).unwrap_err().to_string().contains("`score_zero_point` is 256"));
        assert!(check(0.0, 0).unwrap_err().to_string().contains("`score_scale` is 0"));
    }
}
