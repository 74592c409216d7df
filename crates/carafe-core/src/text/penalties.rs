//! What moves a token's logit before sampling: penalties for what was written already, and the request's own bias.
//!
//! The order is fixed: repetition penalty (on prompt and output, as in CTRL and Hugging Face's `transformers`), frequency and
//! presence penalty (on the output alone, as OpenAI defines them), then bias. Only the logits of tokens that occur or are named are
//! touched, so the cost does not grow with the vocabulary.

use std::collections::BTreeMap;

use super::sampling::Sampling;

/// The tokens of one sequence, counted.
#[derive(Debug, Clone, Default)]
pub struct Penalties {
    /// How often the model wrote each token that occurs; zero for one that stands in the prompt alone.
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

    /// Moves the logits. Tokens outside `logits` are passed over: a valid request has none.
    pub fn apply(&self, sampling: &Sampling, logits: &mut [f32]) {
        if sampling.has_penalties() {
            for (&token, &written) in &self.written {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = penalised(*logit, written, sampling);
                }
            }
        }
        for &(token, bias) in &sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }
}

/// The logit of a token that occurs. A repetition penalty above 1 makes it rarer on either side of zero.
fn penalised(logit: f32, written: u32, sampling: &Sampling) -> f32 {
    let repetition = sampling.repetition_penalty;
    let logit = if logit > 0.0 { logit / repetition } else { logit * repetition };
    if written == 0 {
        return logit;
    }
    logit - written as f32 * sampling.frequency_penalty - sampling.presence_penalty
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logits of tokens 0 to 3 after prompt `[0, 1]` and output `[1, 2, 2]`, all 1.0 but token 2, which is -1.0.
    fn after_prompt_and_output(sampling: &Sampling) -> Vec<f32> {
        let mut penalties = Penalties::new(&[0, 1]);
        for token in [1, 2, 2] {
            penalties.count(token);
        }
        let mut logits = vec![1.0, 1.0, -1.0, 1.0];
        penalties.apply(sampling, &mut logits);
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
}
