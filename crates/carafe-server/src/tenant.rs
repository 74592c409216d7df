//! Tenants: who asks, and how much of the models each may use.
//!
//! Every API key is a tenant, numbered in the order of the file; without keys everybody is tenant
//! 0, which has no limits. A key may bound the sequences that it has at one time, over all models,
//! and its tokens per minute (`bucket`). How the permits of one model are shared between tenants is
//! the affair of `admission`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::ApiError;
use crate::keys::{ApiKeys, KeyLimits};
use bucket::TokenBucket;
pub(crate) use bucket::TokenBudget;

mod bucket;

/// One tenant; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(Arc<State>);

#[derive(Debug)]
struct State {
    number: u64,
    /// The most sequences at one time; none if nothing bounds them.
    most_sequences: Option<u32>,
    /// Sequences that run or wait now.
    sequences: Mutex<u32>,
    /// None if nothing bounds the tokens.
    tokens: Option<Mutex<TokenBucket>>,
}

/// Every tenant of a server.
#[derive(Debug)]
pub(crate) struct Tenants {
    everybody: Tenant,
    /// One for each key, from number 1.
    of_keys: Vec<Tenant>,
}

/// Sequences that a tenant has; dropping it frees them.
#[derive(Debug)]
pub(crate) struct SequencePermit {
    tenant: Tenant,
    count: u32,
}

impl Tenants {
    /// The tenants of these keys.
    pub(crate) fn new(keys: &ApiKeys, now: Instant) -> Self {
        let of_keys = (1..).zip(keys.limits()).map(|(number, limits)| Tenant::new(number, limits, now)).collect();
        Self { everybody: Tenant::new(0, KeyLimits::default(), now), of_keys }
    }

    /// The tenant of a key's number.
    pub(crate) fn of_key(&self, number: u64) -> Option<&Tenant> {
        self.of_keys.iter().find(|tenant| tenant.number() == number)
    }

    /// The tenant of those who need no key.
    pub(crate) fn everybody(&self) -> &Tenant {
        &self.everybody
    }
}

impl Tenant {
    pub(crate) fn new(number: u64, limits: KeyLimits, now: Instant) -> Self {
        Self(Arc::new(State {
            number,
            most_sequences: limits.sequences.map(u32::from),
            sequences: Mutex::default(),
            tokens: limits.tokens_per_minute.map(|limit| Mutex::new(TokenBucket::full(limit, now))),
        }))
    }

    /// The number of its key, from 1, or 0 where there are no keys. It stays the same for the life
    /// of the process.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// The most sequences that it may have at one time; none if nothing bounds them.
    pub(crate) fn most_sequences(&self) -> Option<u32> {
        self.0.most_sequences
    }

    /// Takes `count` sequences, if its limit leaves them.
    pub(crate) fn take_sequences(&self, count: u32) -> Result<SequencePermit, ApiError> {
        let mut sequences = self.0.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = *sequences;
        let after = in_use.checked_add(count).filter(|after| self.0.most_sequences.is_none_or(|most| *after <= most));
        let limit = self.0.most_sequences.unwrap_or(u32::MAX);
        *sequences = after.ok_or(ApiError::SequenceLimit { limit, in_use, wanted: count })?;
        Ok(SequencePermit { tenant: self.clone(), count })
    }

    /// Refuses a new request while its tokens are used up.
    pub(crate) fn check_tokens(&self, now: Instant) -> Result<(), ApiError> {
        match self.token_budget(now) {
            Some(TokenBudget { limit, remaining: 0, used, wait, .. }) => {
                Err(ApiError::TokenLimit { limit, used, wait })
            }
            _ => Ok(()),
        }
    }

    /// Charges tokens that were computed, whether or not there are any left.
    pub(crate) fn charge(&self, tokens: u32, now: Instant) {
        if let Some(bucket) = &self.0.tokens {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).charge(tokens, now);
        }
    }

    /// How many of its tokens are left; none if nothing bounds them.
    pub(crate) fn token_budget(&self, now: Instant) -> Option<TokenBudget> {
        let bucket = self.0.tokens.as_ref()?;
        Some(bucket.lock().unwrap_or_else(PoisonError::into_inner).budget(now))
    }
}

impl Drop for SequencePermit {
    fn drop(&mut self) {
        let mut sequences = self.tenant.0.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        // No more is given back than was taken.
        *sequences = sequences.saturating_sub(self.count);
    }
}

#[cfg(test)]
impl Tenant {
    /// A tenant without limits.
    pub(crate) fn for_tests(number: u64) -> Self {
        Self::new(number, KeyLimits::default(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const FILE: &str = "first-key-0123456789 sequences=3\nsecond-key-0123456789 tokens_per_minute=60";

    fn tenants(now: Instant) -> Tenants {
        Tenants::new(&ApiKeys::parse(FILE).expect("two keys"), now)
    }

    #[test]
    fn each_key_is_a_tenant_by_its_number_with_its_own_limits() {
        let now = Instant::now();
        let tenants = tenants(now);
        assert_eq!(tenants.everybody().number(), 0);
        let [first, second] = [1, 2].map(|number| tenants.of_key(number).expect("a tenant"));
        assert_eq!((first.most_sequences(), second.most_sequences()), (Some(3), None));
        assert_eq!((first.token_budget(now), second.token_budget(now).map(|budget| budget.limit)), (None, Some(60)));
        assert!(tenants.of_key(3).is_none() && tenants.of_key(0).is_none());
    }

    #[test]
    fn sequences_beyond_the_limit_are_refused_until_others_have_ended() {
        let limits = KeyLimits { sequences: NonZeroU32::new(3), tokens_per_minute: None };
        let tenant = Tenant::new(1, limits, Instant::now());
        let two = tenant.take_sequences(2).expect("two of three");
        let refused = tenant.clone().take_sequences(2);
        assert!(matches!(refused, Err(ApiError::SequenceLimit { limit: 3, in_use: 2, wanted: 2 })));
        let _third = tenant.take_sequences(1).expect("the third");
        drop(two);
        assert!(tenant.take_sequences(2).is_ok());
    }

    #[test]
    fn a_tenant_without_limits_is_never_refused() {
        let tenant = Tenant::for_tests(0);
        let permits: Vec<_> = (0..100).map(|_| tenant.take_sequences(1000)).collect();
        assert!(permits.iter().all(Result::is_ok));
        tenant.charge(u32::MAX, Instant::now());
        assert!(tenant.check_tokens(Instant::now()).is_ok());
    }

    #[test]
    fn a_tenant_whose_tokens_are_used_up_waits_and_others_do_not() {
        let start = Instant::now();
        let tenants = tenants(start);
        let tenant = tenants.of_key(2).expect("a tenant");
        assert!(tenant.check_tokens(start).is_ok());
        tenant.charge(59, start);
        assert!(tenant.check_tokens(start).is_ok(), "a token is left");
        tenant.charge(31, start);
        let refused = tenant.check_tokens(start);
        let Err(ApiError::TokenLimit { limit: 60, used: 90, wait }) = refused else { panic!("{refused:?}") };
        assert!(tenants.of_key(1).is_some_and(|other| other.check_tokens(start).is_ok()));
        assert!(tenant.check_tokens(start + wait).is_ok());
    }
}
