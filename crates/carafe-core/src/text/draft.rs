//! Prompt-lookup speculation: guesses at the next tokens, from what the sequence itself has said before.
//!
//! If the last [`LONGEST`] tokens (or else the last [`SHORTEST`]) have occurred before, what followed them then may follow them again. The
//! guesses are read in the same step as the token before them, and each is kept only if it is the very token that would have been chosen
//! there: outputs are the same with and without. (Saxena, "Prompt Lookup Decoding", 2023; Leviathan, Kalman and Matias, "Fast Inference
//! from Transformers via Speculative Decoding", 2023.)
//!
//! A wrong guess costs a wider step for nothing. So guesses are only read while a sequence's earlier ones were right; until then they are
//! kept to oneself and compared with the token that is chosen anyway, which costs nothing. The end of the prompt is the first test. And a few
//! are read at first; each time that all of them are right, more.

/// Tokens that must have occurred before, at best.
const LONGEST: usize = 3;
/// Tokens that must have occurred before, at least.
const SHORTEST: usize = 2;
/// The trust from which on guesses are read.
const ENOUGH_TRUST: u32 = 3;
/// The most trust there is.
const MOST_TRUST: u32 = 6;
/// What a wrong guess costs of it; a right one brings 1.
const DISAPPOINTMENT: u32 = 2;

/// Guesses that are read together at first.
const FEWEST: usize = 3;
/// So many more are read after all of the last were right.
const MORE: usize = 2;
/// Tokens at the end of the prompt that are guessed to begin with.
const TRIALS: usize = 6;

/// Where a sequence stands with its guesses.
#[derive(Debug, Clone, Default)]
pub(super) struct Drafter {
    /// None before the first guess.
    trust: Option<u32>,
    /// Guesses that are read beyond [`FEWEST`].
    more: usize,
    unspoken: Option<Unspoken>,
}

/// A guess that was kept to oneself.
#[derive(Debug, Clone)]
struct Unspoken {
    /// How many tokens there were.
    after: usize,
    token: u32,
}

impl Drafter {
    /// At most `count` guesses, at least one, at what follows `tokens`; none without trust. What followed is taken up again where it reaches
    /// the end, as in a text that repeats itself.
    pub(super) fn draft(&mut self, tokens: &[u32], count: usize) -> Vec<u32> {
        self.compare(tokens);
        if self.trust.is_none() {
            self.try_out(tokens);
        }
        let Some(found) = following(tokens) else {
            return Vec::new();
        };
        if self.trust < Some(ENOUGH_TRUST) {
            self.unspoken = Some(Unspoken { after: tokens.len(), token: found[0] });
            return Vec::new();
        }
        found.iter().copied().cycle().take(count.min(FEWEST + self.more)).collect()
    }

    /// Learns how many of `read` guesses, at least one, were right.
    pub(super) fn learn(&mut self, read: usize, right: usize) {
        self.more = if right == read { (self.more + MORE).min(read) } else { 0 };
        self.judge(right > 0);
    }

    /// Learns whether a guess was right.
    fn judge(&mut self, right: bool) {
        let trust = self.trust.unwrap_or_default();
        self.trust = Some(if right { MOST_TRUST.min(trust + 1) } else { trust.saturating_sub(DISAPPOINTMENT) });
    }

    /// Learns how the last tokens would have been guessed.
    fn try_out(&mut self, tokens: &[u32]) {
        self.trust = Some(0);
        for length in tokens.len().saturating_sub(TRIALS)..tokens.len() {
            if let Some(found) = following(&tokens[..length]) {
                self.judge(found[0] == tokens[length]);
            }
        }
    }

    /// Learns whether the guess that was kept to oneself was right, if it was at the last token.
    fn compare(&mut self, tokens: &[u32]) {
        if let Some(Unspoken { after, token }) = self.unspoken.take()
            && let Some(&[chosen]) = tokens.get(after..)
        {
            self.judge(chosen == token);
        }
    }
}

/// What followed the latest earlier occurrence of the last tokens, as many of them as have one; at least one token.
fn following(tokens: &[u32]) -> Option<&[u32]> {
    (SHORTEST..=LONGEST).rev().find_map(|length| continuation(tokens, length))
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

    /// One that trusts its guesses.
    fn trusting() -> Drafter {
        Drafter { trust: Some(MOST_TRUST), ..Drafter::default() }
    }

    #[test]
    fn what_followed_the_latest_occurrence_is_guessed() {
        assert_eq!(trusting().draft(&[1, 2, 3, 9, 1, 2, 3, 7, 8, 1, 2, 3], 2), [7, 8]);
        assert_eq!(trusting().draft(&[1, 2, 3, 7, 8, 1, 2, 3], 7), [7, 8, 1]);
    }

    #[test]
    fn a_longer_occurrence_goes_before_a_later_one() {
        assert_eq!(trusting().draft(&[1, 2, 3, 7, 2, 3, 8, 1, 2, 3], 1), [7]);
        assert_eq!(trusting().draft(&[4, 2, 3, 7, 5, 2, 3], 1), [7]);
    }

    #[test]
    fn a_token_that_repeats_itself_is_guessed_to_go_on() {
        assert_eq!(trusting().draft(&[5, 5, 5, 5], 3), [5, 5, 5]);
    }

    #[test]
    fn more_is_guessed_each_time_that_all_was_right_and_what_followed_is_taken_up_again() {
        let mut drafter = trusting();
        let text = [1, 2, 3, 7, 8, 1, 2, 3];
        let mut counts = Vec::new();
        for right in [3, 5, 7, 6, 3] {
            let guesses = drafter.draft(&text, 7);
            assert_eq!(guesses, [7, 8, 1, 2, 3, 7, 8][..guesses.len()]);
            counts.push(guesses.len());
            drafter.learn(guesses.len(), right);
        }
        assert_eq!(counts, [3, 5, 7, 7, 3]);
    }

    #[test]
    fn nothing_is_guessed_without_an_earlier_occurrence() {
        for tokens in [&[][..], &[1], &[1, 2], &[1, 2, 3, 4], &[1, 2, 3, 1]] {
            assert!(trusting().draft(tokens, 3).is_empty(), "{tokens:?}");
        }
    }

    #[test]
    fn guesses_are_read_once_three_of_them_would_have_been_right() {
        let text = [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6];
        let mut drafter = Drafter::default();
        let read = (1..=text.len()).map(|length| drafter.draft(&text[..length], 1)).collect::<Vec<_>>();
        // The first guess is at the token after `1, 2`.
        assert!(read[..10].iter().all(Vec::is_empty), "{read:?}");
        assert_eq!(read[10..], [[6], [1]]);
        assert_eq!(Drafter::default().draft(&text[..10], 1), Vec::<u32>::new());
        assert_eq!(Drafter::default().draft(&text[..11], 1), [6], "the prompt is a test too");
    }

    #[test]
    fn wrong_guesses_take_the_trust_and_those_that_nobody_could_check_leave_it() {
        let mut drafter = trusting();
        let trust = [0, 0, 1, 0].map(|right| {
            drafter.learn(3, right);
            drafter.trust
        });
        assert_eq!(trust, [Some(4), Some(2), Some(3), Some(1)]);
        drafter.draft(&[1, 2, 3, 1, 2], 1);
        drafter.draft(&[1, 2, 3, 1, 2, 3, 4], 1);
        assert_eq!(drafter.trust, Some(1), "two tokens came at once");
        drafter.draft(&[1, 2, 3, 1, 2], 1);
        drafter.draft(&[1, 2, 3, 1, 2, 9], 1);
        assert_eq!(drafter.trust, Some(0));
    }
}
