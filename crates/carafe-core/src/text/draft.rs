//! Prompt-lookup speculation: guesses at the next tokens, from what the sequence itself has said before.
//!
//! If the last [`LONGEST`] tokens (or else the last [`SHORTEST`]) have occurred before, what followed them then may follow them again. The
//! guesses are read in the same step as the token before them, and each is kept only if it is the very token that would have been chosen
//! there: outputs are the same with and without. (Saxena, "Prompt Lookup Decoding", 2023; Leviathan, Kalman and Matias, "Fast Inference
//! from Transformers via Speculative Decoding", 2023.)
//!
//! A wrong guess costs a wider step for nothing, so a sequence whose guesses fail pauses, twice as long after each failure.

/// Tokens that must have occurred before, at best.
const LONGEST: usize = 3;
/// Tokens that must have occurred before, at least.
const SHORTEST: usize = 2;
/// The longest pause, in steps.
const LONGEST_PAUSE: u32 = 64;

/// Where a sequence stands with its guesses.
#[derive(Debug, Clone, Default)]
pub(super) struct Drafter {
    /// Steps to pass over before the next guess.
    pause: u32,
    /// Guesses in a row of which no token was right.
    failures: u32,
}

impl Drafter {
    /// `count` guesses at what follows `tokens`; none while it pauses. What followed is taken up again where it reaches the end, as
    /// in a text that repeats itself.
    pub(super) fn draft(&mut self, tokens: &[u32], count: usize) -> Vec<u32> {
        if self.pause > 0 {
            self.pause -= 1;
            return Vec::new();
        }
        let found = (SHORTEST..=LONGEST).rev().find_map(|length| continuation(tokens, length));
        found.map_or_else(Vec::new, |tokens| tokens.iter().copied().cycle().take(count).collect())
    }

    /// Learns how many of at least one guess were right.
    pub(super) fn learn(&mut self, right: usize) {
        if right > 0 {
            self.failures = 0;
            return;
        }
        self.pause = 1u32.checked_shl(self.failures).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        self.failures += 1;
    }
}

/// What followed the latest earlier occurrence of the last `length` tokens.
fn continuation(tokens: &[u32], length: usize) -> Option<&[u32]> {
    let start = tokens.len().checked_sub(length)?;
    let (earlier, last) = (&tokens[..tokens.len() - 1], &tokens[start..]);
    let place = earlier.windows(length).rposition(|window| window == last)?;
    Some(&tokens[place + length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_latest_occurrence_is_guessed() {
        let mut drafter = Drafter::default();
        assert_eq!(drafter.draft(&[1, 2, 3, 9, 1, 2, 3, 7, 8, 1, 2, 3], 2), [7, 8]);
        assert_eq!(drafter.draft(&[1, 2, 3, 7, 8, 1, 2, 3], 7), [7, 8, 1, 2, 3, 7, 8]);
    }

    #[test]
    fn a_longer_occurrence_goes_before_a_later_one() {
        assert_eq!(Drafter::default().draft(&[1, 2, 3, 7, 2, 3, 8, 1, 2, 3], 1), [7]);
        assert_eq!(Drafter::default().draft(&[4, 2, 3, 7, 5, 2, 3], 1), [7]);
    }

    #[test]
    fn a_token_that_repeats_itself_is_guessed_to_go_on() {
        assert_eq!(Drafter::default().draft(&[5, 5, 5, 5], 3), [5, 5, 5]);
    }

    #[test]
    fn nothing_is_guessed_without_an_earlier_occurrence() {
        for tokens in [&[][..], &[1], &[1, 2], &[1, 2, 3, 4], &[1, 2, 3, 1]] {
            assert!(Drafter::default().draft(tokens, 3).is_empty(), "{tokens:?}");
        }
    }

    #[test]
    fn failures_pause_it_twice_as_long_each_time_and_a_success_forgives_them() {
        let tokens = [1, 2, 3, 1, 2];
        let mut drafter = Drafter::default();
        let pause = |drafter: &mut Drafter| (0..1000).take_while(|_| drafter.draft(&tokens, 1).is_empty()).count();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            drafter.learn(0);
            pauses.push(pause(&mut drafter));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        drafter.learn(1);
        assert_eq!(pause(&mut drafter), 0);
        drafter.learn(0);
        assert_eq!(pause(&mut drafter), 1);
    }
}
