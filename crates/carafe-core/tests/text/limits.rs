//! Every parameter at and near both ends of its range, all together, over logits as far apart as
//! f32 allows: there is always a token, always the right one, and no number that is not finite.

use carafe_core::text::{MIN_LOGPROB, Penalties, Sampler, Sampling, rng};
use proptest::prelude::*;

/// One of these values.
fn one_of(values: &'static [f32]) -> impl Strategy<Value = f32> {
    prop::sample::select(values)
}

const SMALLEST: f32 = f32::from_bits(1);
const BELOW_1: f32 = 1.0 - f32::EPSILON / 2.0;

fn sampling() -> impl Strategy<Value = Sampling> {
    let repetition = one_of(&[SMALLEST, 1e-38, f32::MIN_POSITIVE, 0.5, 1.0, 2.0, 3e38, f32::MAX]);
    let penalty = || one_of(&[-2.0, -1.9999, -SMALLEST, 0.0, SMALLEST, 1.9999, 2.0]);
    let bias = prop::collection::btree_map(0u32..40, one_of(&[-100.0, -99.9, SMALLEST, 99.9, 100.0]), 0..9);
    (
        one_of(&[0.0, SMALLEST, 1e-38, 1e-30, 1.0, 1.9999, 2.0]),
        prop::sample::select(vec![None, Some(1), Some(2), Some(39), Some(40), Some(u32::MAX)]),
        one_of(&[SMALLEST, 1e-38, 1e-30, 0.5, BELOW_1, 1.0]),
        one_of(&[0.0, SMALLEST, 1e-38, 0.5, BELOW_1]),
        (repetition, penalty(), penalty(), bias),
        prop::sample::select(vec![0, 1, u64::MAX - 1, u64::MAX]),
    )
        .prop_map(|(temperature, top_k, top_p, min_p, (repetition, frequency, presence, bias), seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty: repetition,
            frequency_penalty: frequency,
            presence_penalty: presence,
            logit_bias: bias.into_iter().collect(),
            seed,
        })
}

/// Logits of 1 to 40 tokens: ordinary ones, or any that are finite.
fn logits() -> impl Strategy<Value = Vec<f32>> {
    let extreme =
        one_of(&[f32::MIN, -1e38, -100.0, -1.0, -1e-38, -0.0, 0.0, SMALLEST, 1e-38, 1.0, 100.0, 1e38, f32::MAX]);
    let ordinary = || -20.0f32..20.0;
    prop_oneof![
        prop::collection::vec(ordinary(), 1..40),
        prop::collection::vec(prop_oneof![extreme, ordinary()], 1..40),
    ]
}

/// The moved logits in f64, whose range no parameter leaves.
fn exact(logits: &[f32], prompt: &[u32], output: &[u32], sampling: &Sampling) -> Vec<f64> {
    let mut moved: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    for (token, logit) in (0u32..).zip(&mut moved) {
        let written = output.iter().filter(|&&other| other == token).count();
        if written > 0 || prompt.contains(&token) {
            let repetition = f64::from(sampling.repetition_penalty);
            *logit = if *logit > 0.0 { *logit / repetition } else { *logit * repetition };
        }
        if written > 0 {
            *logit -= written as f64 * f64::from(sampling.frequency_penalty) + f64::from(sampling.presence_penalty);
        }
    }
    for &(token, bias) in &sampling.logit_bias {
        if let Some(logit) = moved.get_mut(token as usize) {
            *logit += f64::from(bias);
        }
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_values_of_parameters_leave_without_a_token_or_take_a_wrong_one(
        logits in logits(),
        prompt in prop::collection::vec(0u32..40, 0..40),
        output in prop::collection::vec(0u32..40, 0..20),
        excluded in prop::collection::vec(0u32..40, 0..2),
        sampling in sampling(),
    ) {
        let mut penalties = Penalties::new(&prompt);
        output.iter().for_each(|&token| penalties.count(token));
        let mut moved = logits.clone();
        penalties.apply(&sampling, &excluded, &mut moved);
        prop_assert!(moved.iter().all(|logit| logit.is_finite()), "{:?}", moved);

        let mut sampler = Sampler::default();
        let token = sampler.sample(&moved, &sampling, rng::fold_in(sampling.seed, 7)).unwrap();
        let exact = exact(&logits, &prompt, &output, &sampling);
        let allowed = |token: usize| !excluded.contains(&(token as u32));
        let best = (0..exact.len()).filter(|&token| allowed(token)).map(|token| exact[token]).reduce(f64::max);
        if let Some(best) = best {
            let chosen = token as usize;
            // Rounding to f32 may take the better of two that are nearly equal for the worse one.
            let nearly = 1e-4 + best.abs() * 1e-6;
            let only_best = sampling.temperature < 1e-20 || sampling.top_k == Some(1) || sampling.top_p < 1e-20;
            prop_assert!(allowed(chosen) || exact[chosen] >= best - nearly || best < f64::from(f32::MIN) * 0.9);
            if only_best && allowed(chosen) {
                prop_assert!(exact[chosen] >= best - nearly, "{} instead of {}", exact[chosen], best);
            }
        }
        if !sampling.is_greedy() {
            let weights = sampler.weights(&moved, &sampling).unwrap();
            prop_assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)), "{:?}", weights);
            prop_assert!(weights[token as usize] > 0.0);
        }
    }

    #[test]
    fn log_probabilities_of_any_finite_logits_are_finite(logits in logits(), count in 0u32..=20) {
        for token in 0..logits.len() as u32 {
            let logprobs = Sampler::default().logprobs(&logits, token, count).unwrap();
            let all = logprobs.top.iter().map(|top| top.logprob).chain([logprobs.logprob]);
            for logprob in all {
                prop_assert!((MIN_LOGPROB..=0.0).contains(&logprob), "{}", logprob);
            }
        }
    }
}

#[test]
fn a_token_that_is_as_good_as_impossible_has_the_least_log_probability() {
    let logprobs = Sampler::default().logprobs(&[f32::MAX, f32::MIN], 1, 2).unwrap();
    let all = logprobs.top.iter().map(|top| top.logprob).chain([logprobs.logprob]);
    assert_eq!(all.collect::<Vec<_>>(), [0.0, -9999.0, -9999.0]);
}
