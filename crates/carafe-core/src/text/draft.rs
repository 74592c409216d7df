//! Prompt-lookup speculation: drafts of the next tokens, from what the sequence itself has said
//! before.
//!
//! If the last [`MAX_LOOKUP`] tokens (or else the last [`MIN_LOOKUP`]) have occurred before, what
//! followed them then may follow them again. Draft tokens are computed in the same step as the
//! token before them, and each is accepted only if it is the very token that would have been chosen
//! there: outputs are the same with and without. (Saxena, "Prompt Lookup Decoding", 2023;
//! Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding",
//! 2023.)
//!
//! A rejected draft costs a wider step for nothing. So drafts are computed only while a sequence's
//! earlier ones were accepted. Until then a shadow draft is compared with the token that is chosen
//! anyway, which costs nothing; the end of the prompt is the first test. A step has few draft
//! tokens at first, and more each time that all of them are accepted.

/// Tokens that must have occurred before, at best.
const MAX_LOOKUP: usize = 3;
/// Tokens that must have occurred before, at least.
const MIN_LOOKUP: usize = 2;
/// Drafts are computed from this score on.
const MIN_SCORE: u32 = 3;
/// The highest score.
const MAX_SCORE: u32 = 6;
/// What a rejected draft takes off the score; an accepted one adds 1.
const REJECTION_COST: u32 = 2;

/// Draft tokens of a step at first.
const MIN_DRAFT: usize = 3;
/// How many more there are after all of the last were accepted.
const DRAFT_GROWTH: usize = 2;
/// Tokens at the end of the prompt that are drafted to begin with.
const PROMPT_TRIALS: usize = 6;

/// Where a sequence stands with its drafts.
#[derive(Debug, Clone, Default)]
pub(super) struct Drafter {
    /// None before the first draft.
    score: Option<u32>,
    /// Draft tokens beyond [`MIN_DRAFT`].
    more: usize,
    shadow: Option<ShadowDraft>,
}

/// A draft token that is compared and not computed.
#[derive(Debug, Clone)]
struct ShadowDraft {
    /// How many tokens there were.
    after: usize,
    token: u32,
}

impl Drafter {
    /// At most `count` draft tokens, at least one, for what follows `tokens`; none below
    /// [`MIN_SCORE`]. What followed is repeated where it reaches the end, as in a text that repeats
    /// itself.
    pub(super) fn draft(&mut self, tokens: &[u32], count: usize) -> Vec<u32> {
        self.compare(tokens);
        if self.score.is_none() {
            self.try_out(tokens);
        }
        let Some(found) = following(tokens) else {
            return Vec::new();
        };
        if self.score < Some(MIN_SCORE) {
            self.shadow = Some(ShadowDraft { after: tokens.len(), token: found[0] });
            return Vec::new();
        }
        found.iter().copied().cycle().take(count.min(MIN_DRAFT + self.more)).collect()
    }

    /// Learns how many of `num_drafts` draft tokens, at least one, were accepted.
    pub(super) fn learn(&mut self, num_drafts: usize, num_accepted: usize) {
        self.more = if num_accepted == num_drafts { (self.more + DRAFT_GROWTH).min(num_drafts) } else { 0 };
        self.judge(num_accepted > 0);
    }

    /// Learns whether a draft was accepted.
    fn judge(&mut self, accepted: bool) {
        let score = self.score.unwrap_or_default();
        self.score = Some(if accepted { MAX_SCORE.min(score + 1) } else { score.saturating_sub(REJECTION_COST) });
    }

    /// Learns how the last tokens would have been drafted.
    fn try_out(&mut self, tokens: &[u32]) {
        self.score = Some(0);
        for length in tokens.len().saturating_sub(PROMPT_TRIALS)..tokens.len() {
            if let Some(found) = following(&tokens[..length]) {
                self.judge(found[0] == tokens[length]);
            }
        }
    }

    /// Learns whether the shadow draft was right, if it was for the last token.
    fn compare(&mut self, tokens: &[u32]) {
        if let Some(ShadowDraft { after, token }) = self.shadow.take()
            && let Some(&[chosen]) = tokens.get(after..)
        {
            self.judge(chosen == token);
        }
    }
}

/// What followed the latest earlier occurrence of the last tokens, as many of them as have one; at
/// least one token.
fn following(tokens: &[u32]) -> Option<&[u32]> {
    (MIN_LOOKUP..=MAX_LOOKUP).rev().find_map(|length| continuation(tokens, length))
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

    /// One that computes its drafts.
    fn confident() -> Drafter {
        Drafter { score: Some(MAX_SCORE), ..Drafter::default() }
    }

    #[test]
    fn what_followed_the_latest_occurrence_is_guessed() {
        assert_eq!(confident().draft(&[1, 2, 3, 9, 1, 2, 3, 7, 8, 1, 2, 3], 2), [7, 8]);
        assert_eq!(confident().draft(&[1, 2, 3, 7, 8, 1, 2, 3], 7), [7, 8, 1]);
    }

    #[test]
    fn a_longer_occurrence_goes_before_a_later_one() {
        assert_eq!(confident().draft(&[1, 2, 3, 7, 2, 3, 8, 1, 2, 3], 1), [7]);
        assert_eq!(confident().draft(&[4, 2, 3, 7, 5, 2, 3], 1), [7]);
    }

    #[test]
    fn a_token_that_repeats_itself_is_guessed_to_go_on() {
        assert_eq!(confident().draft(&[5, 5, 5, 5], 3), [5, 5, 5]);
    }

    #[test]
    fn more_is_guessed_each_time_that_all_was_right_and_what_followed_is_taken_up_again() {
        let mut drafter = confident();
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
            assert!(confident().draft(tokens, 3).is_empty(), "{tokens:?}");
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
    fn wrong_guesses_take_the_score_and_those_that_nobody_could_check_leave_it() {
        let mut drafter = confident();
        let score = [0, 0, 1, 0].map(|right| {
            drafter.learn(3, right);
            drafter.score
        });
        assert_eq!(score, [Some(4), Some(2), Some(3), Some(1)]);
        drafter.draft(&[1, 2, 3, 1, 2], 1);
        drafter.draft(&[1, 2, 3, 1, 2, 3, 4], 1);
        assert_eq!(drafter.score, Some(1), "two tokens came at once");
        drafter.draft(&[1, 2, 3, 1, 2], 1);
        drafter.draft(&[1, 2, 3, 1, 2, 9], 1);
        assert_eq!(drafter.score, Some(0));
    }
}
