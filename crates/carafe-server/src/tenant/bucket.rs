//! A token bucket: how many tokens a tenant may use at a time.
//!
//! It holds the tokens of one minute, is full at first, and fills evenly. Tokens are taken out as
//! they come, without asking, so that what runs is not cut off; the bucket may then be overdrawn,
//! and new requests wait until it has filled up again. The time is an argument.
//!
//! The bucket is kept as one point in time: that at which it will be full again if nothing more is
//! taken. A token moves it by a minute divided by the limit.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The time in which an empty bucket fills.
const MINUTE: Duration = Duration::from_secs(60);

/// The tokens of one tenant.
#[derive(Debug)]
pub(super) struct TokenBucket {
    limit: NonZeroU32,
    /// When it is full again; in the past if it is full.
    full_at: Instant,
}

/// What is in a bucket at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenBudget {
    /// Tokens per minute.
    pub(crate) limit: u32,
    /// Whole tokens that are left; 0 if it is overdrawn.
    pub(crate) remaining: u32,
    /// Tokens that are taken; more than the limit if it is overdrawn.
    pub(crate) used: u64,
    /// Until a whole token is left again; nothing if one is.
    pub(crate) wait: Duration,
    /// Until it is full again.
    pub(crate) reset: Duration,
}

impl TokenBucket {
    /// A bucket that is full.
    pub(super) fn full(limit: NonZeroU32, now: Instant) -> Self {
        Self { limit, full_at: now }
    }

    /// Takes tokens out, whether or not they are there.
    pub(super) fn charge(&mut self, tokens: u32, now: Instant) {
        self.full_at = self.full_at.max(now) + MINUTE * tokens / self.limit.get();
    }

    pub(super) fn budget(&self, now: Instant) -> TokenBudget {
        let reset = self.full_at.saturating_duration_since(now);
        let filled = MINUTE.saturating_sub(reset);
        let remaining = self.parts_filled_in(filled) / MINUTE.as_nanos();
        let used = self.parts_filled_in(reset).div_ceil(MINUTE.as_nanos());
        TokenBudget {
            limit: self.limit.get(),
            // A minute fills no more than the limit.
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            used: u64::try_from(used).unwrap_or(u64::MAX),
            wait: if remaining > 0 { Duration::ZERO } else { reset.saturating_sub(self.before_last_token()) },
            reset,
        }
    }

    /// How much comes into it in some time, in parts of a token: one has as many as a minute has
    /// nanoseconds.
    fn parts_filled_in(&self, time: Duration) -> u128 {
        time.as_nanos() * u128::from(self.limit.get())
    }

    /// The time in which an empty bucket fills but for its first token.
    fn before_last_token(&self) -> Duration {
        // A nanosecond less than the division gives, so that rounding never leaves out a part of
        // the token.
        (MINUTE - MINUTE / self.limit.get()).saturating_sub(Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(limit: u32) -> (TokenBucket, Instant) {
        let now = Instant::now();
        (TokenBucket::full(NonZeroU32::new(limit).expect("at least 1"), now), now)
    }

    #[test]
    fn a_bucket_is_full_at_first_and_fills_evenly() {
        let (mut bucket, start) = bucket(600);
        let full = TokenBudget { limit: 600, remaining: 600, used: 0, wait: Duration::ZERO, reset: Duration::ZERO };
        assert_eq!(bucket.budget(start), full);
        bucket.charge(200, start);
        let taken = TokenBudget { remaining: 400, used: 200, reset: 20 * SECOND, ..full };
        assert_eq!(bucket.budget(start), taken);
        assert_eq!(
            bucket.budget(start + 5 * SECOND),
            TokenBudget { remaining: 450, used: 150, reset: 15 * SECOND, ..full }
        );
        assert_eq!(bucket.budget(start + 20 * SECOND), full);
        assert_eq!(bucket.budget(start + 3600 * SECOND), full, "it holds no more than a minute's");
        bucket.charge(200, start + 3600 * SECOND);
        assert_eq!(bucket.budget(start + 3600 * SECOND), taken, "what it did not hold is not to be had later");
    }

    #[test]
    fn what_is_overdrawn_is_waited_for() {
        let (mut bucket, start) = bucket(60);
        bucket.charge(100, start);
        let budget = bucket.budget(start);
        assert_eq!((budget.remaining, budget.used, budget.reset), (0, 100, 100 * SECOND));
        // 40 s until nothing is owed, and one until there is a token.
        assert!((41 * SECOND..41 * SECOND + Duration::from_micros(1)).contains(&budget.wait), "{:?}", budget.wait);
        assert_eq!(bucket.budget(start + budget.wait).remaining, 1);
    }

    #[test]
    fn a_bucket_of_one_token_is_to_be_had_once_a_minute() {
        let (mut bucket, start) = bucket(1);
        assert_eq!((bucket.budget(start).remaining, bucket.budget(start).wait), (1, Duration::ZERO));
        bucket.charge(1, start);
        assert_eq!((bucket.budget(start).remaining, bucket.budget(start).wait), (0, 60 * SECOND));
        assert_eq!(bucket.budget(start + 60 * SECOND).remaining, 1);
    }

    proptest! {
        #[test]
        fn after_the_wait_there_is_a_token_and_before_it_none(
            limit in 1..=u32::MAX, charges in proptest::collection::vec((0..10_000_u32, 0..5_000_u64), 0..20)
        ) {
            let (mut bucket, mut now) = bucket(limit);
            for (tokens, milliseconds) in charges {
                bucket.charge(tokens, now);
                now += Duration::from_millis(milliseconds);
            }
            let budget = bucket.budget(now);
            prop_assert_eq!(budget.remaining == 0, budget.wait > Duration::ZERO);
            prop_assert!(budget.remaining <= limit && u64::from(budget.remaining) + budget.used >= u64::from(limit));
            prop_assert!(bucket.budget(now + budget.wait).remaining > 0);
            let early = budget.wait.saturating_sub(Duration::from_micros(1));
            prop_assert!(budget.wait == early || early.is_zero() || bucket.budget(now + early).remaining == 0);
        }
    }
}
