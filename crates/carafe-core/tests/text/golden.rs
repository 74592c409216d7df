//! The sampler against the same algorithm in numpy: `tools/golden/sampler.py` wrote the golden
//! file, from a full sort in float64.

use carafe_core::text::{Penalties, Sampler, Sampling, rng};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    format: u32,
    script: String,
    cases: Vec<Case>,
}

/// One setting, with the tokens that its draws must give.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    logits: LogitRule,
    prompt: Vec<u32>,
    output: Vec<u32>,
    parameters: Parameters,
    /// How many tokens can be drawn at all.
    kept: usize,
    /// The most probable tokens and their probabilities.
    probabilities: Vec<(u32, f64)>,
    /// Numbers of draws and the tokens that they give.
    draws: Vec<(u64, u32)>,
}

/// Logit i is `(draw(seed, i) - 0.5) * spread`, as f32.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogitRule {
    size: u64,
    seed: u64,
    spread: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    temperature: f32,
    top_k: Option<u32>,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    logit_bias: Vec<(u32, f32)>,
    seed: u64,
}

impl Case {
    fn sampling(&self) -> Sampling {
        let parameters = &self.parameters;
        Sampling {
            temperature: parameters.temperature,
            top_k: parameters.top_k,
            top_p: parameters.top_p,
            min_p: parameters.min_p,
            repetition_penalty: parameters.repetition_penalty,
            frequency_penalty: parameters.frequency_penalty,
            presence_penalty: parameters.presence_penalty,
            logit_bias: parameters.logit_bias.clone(),
            seed: parameters.seed,
        }
    }

    /// The logits after penalties and bias.
    fn logits(&self) -> Vec<f32> {
        let rule = &self.logits;
        let logit = |index| ((rng::draw(rule.seed, index) - 0.5) * rule.spread) as f32;
        let mut logits: Vec<f32> = (0..rule.size).map(logit).collect();
        let mut penalties = Penalties::new(&self.prompt);
        self.output.iter().for_each(|&token| penalties.count(token));
        penalties.apply(&self.sampling(), &[], &mut logits);
        logits
    }
}

#[test]
fn every_draw_gives_the_token_and_every_weight_the_probability_of_numpy() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/sampler.json")).unwrap();
    assert_eq!((golden.format, golden.script.as_str()), (1, "tools/golden/sampler.py"));
    assert!(golden.cases.len() >= 20);
    for case in golden.cases {
        let (logits, sampling) = (case.logits(), case.sampling());
        let mut sampler = Sampler::default();
        assert!(!case.draws.is_empty(), "{}", case.name);
        for &(number, token) in &case.draws {
            let key = rng::fold_in(sampling.seed, number);
            assert_eq!(sampler.sample(&logits, &sampling, key), Ok(token), "{}: draw {number}", case.name);
        }
        if sampling.is_greedy() {
            continue;
        }
        let weights = sampler.weights(&logits, &sampling).unwrap();
        assert_eq!(weights.iter().filter(|&&weight| weight > 0.0).count(), case.kept, "{}", case.name);
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        for (token, probability) in case.probabilities {
            let got = f64::from(weights[token as usize]) / total;
            assert!((got / probability - 1.0).abs() < 1e-5, "{}: token {token} {got} {probability}", case.name);
        }
    }
}
