//! The sampler against exact distributions.
//!
//! The exact distribution is worked out the plain way, in f64 with a full sort; thousands of draws
//! with a fixed seed must agree with it by the chi-square test, and the sampler's own weights must
//! be its probabilities.

use carafe_core::text::{Sampler, Sampling, rng};
use proptest::prelude::*;

const DRAWS: u64 = 20_000;

/// The probability of every token: temperature, top-k, top-p, min-p, in this order, each on what
/// the one before has left.
fn exact(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
    let mut weights: Vec<f64> =
        logits.iter().map(|logit| ((logit - largest) / f64::from(sampling.temperature)).exp()).collect();
    let mut ranking: Vec<usize> = (0..logits.len()).collect();
    ranking.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    ranking.truncate(sampling.top_k.map_or(logits.len(), |count| count as usize));
    let total: f64 = ranking.iter().map(|&token| weights[token]).sum();
    let mut reached = 0.0;
    let kept = ranking.iter().take_while(|&&token| {
        let wanted = reached < f64::from(sampling.top_p) * total;
        reached += weights[token];
        wanted
    });
    let kept: Vec<usize> = kept.copied().filter(|&token| weights[token] >= f64::from(sampling.min_p)).collect();
    let total: f64 = kept.iter().map(|&token| weights[token]).sum();
    for (token, weight) in weights.iter_mut().enumerate() {
        *weight = if kept.contains(&token) { *weight / total } else { 0.0 };
    }
    weights
}

/// How often each token is drawn.
fn count(logits: &[f32], sampling: &Sampling) -> Vec<u64> {
    let mut sampler = Sampler::default();
    let mut counts = vec![0; logits.len()];
    for index in 0..DRAWS {
        let token = sampler.sample(logits, sampling, rng::fold_in(sampling.seed, index)).unwrap();
        counts[token as usize] += 1;
    }
    counts
}

/// Asserts by the chi-square test that the draws follow the exact distribution.
fn assert_follows(logits: &[f32], sampling: &Sampling) {
    let probabilities = exact(logits, sampling);
    let counts = count(logits, sampling);
    let mut chi_square = 0.0;
    let mut freedom = -1.0;
    for (&probability, &count) in probabilities.iter().zip(&counts) {
        let expected = probability * DRAWS as f64;
        if probability == 0.0 {
            assert_eq!(count, 0, "an excluded token was drawn with {sampling:?}");
        } else {
            chi_square += (count as f64 - expected).powi(2) / expected;
            freedom += 1.0;
        }
    }
    // Wilson and Hilferty: (chi-square / freedom)^(1/3) is nearly normal. 4 deviations: once in
    // 30,000 by chance.
    if freedom > 0.0 {
        let spread = 2.0 / (9.0 * freedom);
        let deviations = ((chi_square / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
        assert!(deviations < 4.0, "{deviations} deviations with {sampling:?}: {counts:?}");
    }
}

/// `count` logits, uniform between `-spread / 2` and `spread / 2`.
fn uniform(count: u64, seed: u64, spread: f64) -> Vec<f32> {
    (0..count).map(|token| ((rng::draw(seed, token) - 0.5) * spread) as f32).collect()
}

/// Twelve logits with two ties, all likely enough to be counted.
const LOGITS: [f32; 12] = [0.3, 1.0, -0.5, 2.0, 1.0, 0.0, 1.7, -1.0, 2.0, 0.9, 0.1, 1.2];

#[test]
fn draws_follow_the_distribution_at_every_temperature() {
    for temperature in [0.3, 0.7, 1.0, 1.5, 2.0] {
        assert_follows(&LOGITS, &Sampling { temperature, seed: 1, ..Sampling::default() });
    }
}

#[test]
fn draws_follow_the_distribution_with_top_k() {
    for top_k in [1, 2, 3, 5, 6, 11, 12, 1000] {
        assert_follows(&LOGITS, &Sampling { top_k: Some(top_k), seed: 2, ..Sampling::default() });
    }
}

#[test]
fn draws_follow_the_distribution_with_top_p() {
    for top_p in [1e-6, 0.2, 0.35, 0.5, 0.8, 0.95, 0.999] {
        assert_follows(&LOGITS, &Sampling { top_p, seed: 3, ..Sampling::default() });
    }
}

#[test]
fn draws_follow_the_distribution_with_min_p() {
    for min_p in [0.05, 0.2, 0.5, 0.9, 0.999] {
        assert_follows(&LOGITS, &Sampling { min_p, seed: 4, ..Sampling::default() });
    }
}

#[test]
fn draws_follow_the_distribution_with_everything_at_once() {
    for (temperature, top_k, top_p, min_p) in
        [(0.8, 8, 0.9, 0.05), (1.5, 10, 0.7, 0.3), (2.0, 4, 0.99, 0.6), (0.5, 11, 0.5, 0.1)]
    {
        let top_k = Some(top_k);
        assert_follows(&LOGITS, &Sampling { temperature, top_k, top_p, min_p, seed: 5, ..Sampling::default() });
    }
}

#[test]
fn draws_follow_the_distribution_over_several_blocks_of_tokens() {
    let logits = uniform(150, 6, 4.0);
    for (temperature, top_p) in [(1.0, 1.0), (0.7, 0.9)] {
        assert_follows(&logits, &Sampling { temperature, top_p, seed: 6, ..Sampling::default() });
    }
}

/// A probability that moves by a hundred thousandth may move a draw as rarely; a walk along the
/// weights would move every third.
#[test]
fn logits_that_are_off_by_a_hair_give_the_same_tokens() {
    let (logits, hairs) = (uniform(50_257, 7, 6.0), uniform(50_257, 8, 2e-5));
    let moved: Vec<f32> = logits.iter().zip(hairs).map(|(logit, hair)| logit + hair).collect();
    let mut sampler = Sampler::default();
    for top_p in [1.0, 0.9] {
        let sampling = Sampling { top_p, ..Sampling::default() };
        let mut differ = 0;
        for key in 0..500 {
            let tokens = [&logits, &moved].map(|logits| sampler.sample(logits, &sampling, key).unwrap());
            differ += u32::from(tokens[0] != tokens[1]);
        }
        assert!(differ <= 1, "{differ} of 500 draws, top_p {top_p}");
    }
}

#[test]
fn at_temperature_zero_the_best_token_is_taken_and_ties_go_to_the_lower_id() {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut sampler = Sampler::default();
    for key in 0..3 {
        assert_eq!(sampler.sample(&LOGITS, &sampling, key), Ok(3));
    }
}

#[test]
fn a_tie_at_the_border_keeps_the_lower_id() {
    let sampling = Sampling { top_k: Some(1), ..Sampling::default() };
    assert_eq!(count(&LOGITS, &sampling)[3], DRAWS);
}

#[test]
fn minus_zero_and_zero_are_a_tie() {
    let sampling = Sampling { top_k: Some(1), ..Sampling::default() };
    assert_eq!(count(&[-1.0, -0.0, 0.0], &sampling), [0, DRAWS, 0]);
    let result = Sampler::default().logprobs(&[-1.0, -0.0, 0.0], 0, 2).unwrap();
    assert_eq!(result.top.iter().map(|top| top.id).collect::<Vec<u32>>(), [1, 2]);
}

#[test]
fn the_smallest_temperature_takes_the_best_token() {
    let sampling = Sampling { temperature: f32::from_bits(1), ..Sampling::default() };
    assert_eq!(count(&[0.0, 1.0, -3.0], &sampling), [0, DRAWS, 0]);
}

#[test]
fn a_top_p_of_zero_leaves_the_most_probable_token_whatever_is_drawn() {
    let (mut sampler, top_p) = (Sampler::default(), 0.0);
    let greedy = sampler.sample(&LOGITS, &Sampling { temperature: 0.0, ..Sampling::default() }, 0);
    for key in 0..3 {
        assert_eq!(sampler.sample(&LOGITS, &Sampling { top_p, ..Sampling::default() }, key), greedy);
    }
}

#[test]
fn a_single_token_is_always_drawn() {
    let mut sampler = Sampler::default();
    assert_eq!(sampler.sample(&[-7.0], &Sampling { top_p: 0.5, ..Sampling::default() }, 0), Ok(0));
}

#[test]
fn log_probabilities_of_a_large_vocabulary_are_exact_and_ranked() {
    let logits: Vec<f32> = (0..50_257).map(|token| (rng::draw(8, token) * 16.0 - 30.0) as f32).collect();
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    let mut ranking: Vec<u32> = (0..50_257).collect();
    ranking.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    let result = Sampler::default().logprobs(&logits, 4321, 20).unwrap();
    assert!((f64::from(result.logprob) - (f64::from(logits[4321]) - sum.ln())).abs() < 1e-5);
    assert_eq!(result.top.iter().map(|top| top.id).collect::<Vec<u32>>(), ranking[..20]);
    for top in result.top {
        assert!((f64::from(top.logprob) - (f64::from(logits[top.id as usize]) - sum.ln())).abs() < 1e-5);
    }
}

#[test]
fn log_probabilities_are_exact_for_a_vocabulary_of_any_size() {
    for size in (1..40).chain(250..275) {
        // The last token is the most probable, so that none may be left out of the sum.
        let logits: Vec<f32> = (0..size).map(|token| 4.0 * (token as f32 / size as f32) - 1.0).collect();
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let result = Sampler::default().logprobs(&logits, 0, 1).unwrap();
        assert!((f64::from(result.logprob) - (f64::from(logits[0]) - sum.ln())).abs() < 1e-5, "{size} tokens");
    }
}

#[test]
fn a_vocabulary_smaller_than_the_alternatives_lists_all_of_it() {
    let result = Sampler::default().logprobs(&[0.0, 1.0, 1.0], 0, 20).unwrap();
    assert_eq!(result.top.iter().map(|top| top.id).collect::<Vec<u32>>(), [1, 2, 0]);
}

#[test]
fn weights_of_a_large_vocabulary_are_the_exact_probabilities() {
    let tied = (0..4999).map(|token| (rng::draw(11, token) * 5.0).floor() as f32).collect();
    let rows: [Vec<f32>; 4] = [uniform(4999, 9, 1.0), uniform(4999, 10, 20.0), tied, vec![0.25; 4999]];
    let mut sampler = Sampler::default();
    for (top_k, top_p, min_p) in [
        (None, 0.95, 0.0),
        (None, 0.501, 0.0),
        (None, 0.9, 0.2),
        (Some(40), 1.0, 0.0),
        (Some(78), 0.7, 0.1),
        (Some(79), 1.0, 0.0),
        (Some(80), 1.0, 0.0),
        (Some(1000), 0.901, 0.0),
    ] {
        for logits in &rows {
            let sampling = Sampling { top_k, top_p, min_p, ..Sampling::default() };
            let token = sampler.sample(logits, &sampling, 3).unwrap();
            let weights = sampler.weights(logits, &sampling).unwrap();
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            for (&weight, probability) in weights.iter().zip(exact(logits, &sampling)) {
                assert_eq!(weight > 0.0, probability > 0.0, "{sampling:?}");
                assert!((f64::from(weight) / total - probability).abs() < 1e-6, "{sampling:?}");
            }
            assert!(weights[token as usize] > 0.0);
        }
    }
}

proptest! {
    #[test]
    fn weights_are_the_exact_probabilities_of_any_logits(
        logits in prop::collection::vec(prop_oneof![-40.0f32..40.0, Just(1.0f32), -0.01f32..0.01], 1..300),
        temperature in 0.05f32..2.0,
        top_k in prop::option::of(1u32..300),
        top_p in prop_oneof![Just(1.0f32), 0.01f32..1.0],
        min_p in prop_oneof![Just(0.0f32), 0.0f32..0.99],
        seed in any::<u64>(),
    ) {
        let sampling = Sampling { temperature, top_k, top_p, min_p, ..Sampling::default() };
        let mut sampler = Sampler::default();
        let token = sampler.sample(&logits, &sampling, rng::fold_in(seed, 0)).unwrap();
        let weights = sampler.weights(&logits, &sampling).unwrap();
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        let probabilities = exact(&logits, &sampling);
        for (token, (&weight, probability)) in weights.iter().zip(probabilities).enumerate() {
            prop_assert!((f64::from(weight) / total - probability).abs() < 2e-5, "token {}", token);
        }
        prop_assert!(weights[token as usize] > 0.0);
    }
}
