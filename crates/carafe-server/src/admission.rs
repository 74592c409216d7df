//! How much is taken on at one time.
//!
//! Each model has as many permits as `--queue` says. A request takes one for every sequence that it
//! makes the model generate, or one for an image, and holds them until it ends or its client
//! leaves. Nobody waits for a permit: when there are too few, the answer is 429 at once, so that a
//! client knows where it stands.
//!
//! With two or more keys, one of them cannot take all permits: half of them is kept for the keys,
//! an equal part for each, rounded down. The others go by arrival: a tenant may take
//! permits as long as what the other tenants have not used of their parts stays free. So a tenant
//! within its part is never refused. With more keys than half the permits, the parts are rounded
//! down to nothing, and all permits go by arrival, as they do with one key or none.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::ApiError;
use crate::tenant::{SequencePermit, Tenant};

/// The permits of one model.
#[derive(Debug)]
pub(crate) struct Permits {
    all: u32,
    /// The most that one tenant can have: all but the parts of the others.
    most: u32,
    /// Permits that are kept for each key; 0 where all go by arrival.
    part: u32,
    taken: Arc<Taken>,
}

/// How many permits each tenant has taken, by its number; without keys there is number 0 alone.
#[derive(Debug)]
struct Taken(Mutex<Vec<u32>>);

/// Permits that are taken, as sequences of their tenant; dropping it frees them.
#[derive(Debug)]
pub(crate) struct Permit {
    taken: Arc<Taken>,
    tenant: usize,
    count: u32,
    _sequences: SequencePermit,
}

impl Permits {
    /// The permits of a model in a server with this many keys.
    pub(crate) fn new(all: u32, keys: usize) -> Self {
        let part = if keys < 2 { 0 } else { u32::try_from(all as usize / 2 / keys).unwrap_or(0) };
        let kept_for_others = (1..keys).map(|_| part).sum::<u32>();
        let taken = Arc::new(Taken(Mutex::new(vec![0; keys + 1])));
        Self { all, most: all - kept_for_others, part, taken }
    }

    /// Takes `count` permits for a tenant, if they are free for it and its own limit leaves them.
    /// `count` is at most [`Permits::most`].
    pub(crate) fn take(&self, tenant: &Tenant, count: u32) -> Result<Permit, ApiError> {
        let sequences = tenant.take_sequences(count)?;
        let number = usize::try_from(tenant.number()).unwrap_or(usize::MAX);
        self.taken.change(|taken| {
            let free = self.all - taken.iter().sum::<u32>();
            let others = taken.iter().enumerate().skip(1).filter(|(other, _)| *other != number);
            let kept: u32 = others.map(|(_, taken)| self.part.saturating_sub(*taken)).sum();
            match taken.get_mut(number) {
                Some(own) if free >= kept + count => *own += count,
                _ => return Err(ApiError::QueueFull { wanted: count, permits: self.all, shared: self.part > 0 }),
            }
            Ok(())
        })?;
        Ok(Permit { taken: self.taken.clone(), tenant: number, count, _sequences: sequences })
    }

    /// How many permits there are.
    pub(crate) fn all(&self) -> u32 {
        self.all
    }

    /// How many permits are kept for each key.
    pub(crate) fn part(&self) -> u32 {
        self.part
    }

    /// The most permits that one tenant can have.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }
}

impl Taken {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<u32>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.change(|taken| taken[self.tenant] -= self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::time::Instant;

    use crate::keys::KeyLimits;

    fn taken(permits: &Permits) -> u32 {
        permits.taken.change(|taken| taken.iter().sum())
    }

    #[test]
    fn permits_are_refused_when_taken_and_free_again_when_given_back() {
        let (permits, everybody) = (Permits::new(3, 0), Tenant::for_tests(0));
        let two = permits.take(&everybody, 2).expect("two of three");
        let refused = permits.take(&everybody, 2);
        assert!(matches!(refused, Err(ApiError::QueueFull { wanted: 2, permits: 3, shared: false })));
        let _one = permits.take(&everybody, 1).expect("the third");
        drop(two);
        assert!(permits.take(&everybody, 2).is_ok());
    }

    #[test]
    fn without_a_second_key_nothing_is_kept() {
        for (keys, number) in [(0, 0), (1, 1)] {
            let permits = Permits::new(5, keys);
            assert_eq!(permits.most(), 5);
            assert!(permits.take(&Tenant::for_tests(number), 5).is_ok());
        }
    }

    #[test]
    fn the_first_to_come_leaves_the_others_their_parts() {
        // Half of 9 is 4, and a third of that is 1.
        let permits = Permits::new(9, 3);
        let [first, second, third] = [1, 2, 3].map(Tenant::for_tests);
        assert_eq!((permits.all(), permits.most()), (9, 7));
        let _flood = permits.take(&first, 7).expect("all but two parts");
        let refused = permits.take(&first, 1);
        assert!(matches!(refused, Err(ApiError::QueueFull { wanted: 1, permits: 9, shared: true })));
        let _own = permits.take(&second, 1).expect("its part");
        assert!(permits.take(&second, 1).is_err(), "that is the third's");
        assert!(permits.take(&third, 1).is_ok());
    }

    #[test]
    fn more_keys_than_half_the_permits_have_no_parts() {
        let permits = Permits::new(9, 5);
        assert_eq!(permits.most(), 9);
        assert!(permits.take(&Tenant::for_tests(1), 9).is_ok());
    }

    #[test]
    fn what_either_limit_refuses_takes_nothing_of_the_other() {
        let permits = Permits::new(4, 2);
        let limits = KeyLimits { sequences: NonZeroU32::new(3), tokens_per_minute: None };
        let [limited, other] = [Tenant::new(1, limits, Instant::now()), Tenant::for_tests(2)];
        let three = permits.take(&other, 3).expect("all but the first's part");
        assert!(matches!(permits.take(&limited, 2), Err(ApiError::QueueFull { .. })));
        drop(three);
        let _most = permits.take(&limited, 3).expect("nothing of its limit was used");
        let one_more = permits.take(&limited, 1);
        assert!(matches!(one_more, Err(ApiError::SequenceLimit { limit: 3, in_use: 3, wanted: 1 })));
        assert_eq!(taken(&permits), 3);
    }

    proptest! {
        /// Each turn takes permits for a tenant, or gives back what one of the turns before took.
        #[test]
        fn a_tenant_within_its_part_is_never_refused_and_all_permits_come_back(
            all in 1..100_u32, keys in 0..8_usize,
            turns in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>(), 1..40_u32), 0..200)
        ) {
            let permits = Permits::new(all, keys);
            let numbers: Vec<u64> = if keys == 0 { vec![0] } else { (1..=keys as u64).collect() };
            let tenants: Vec<Tenant> = numbers.into_iter().map(Tenant::for_tests).collect();
            let mut held: Vec<(u64, Permit)> = Vec::new();
            for (gives_back, which, count) in turns {
                if gives_back && !held.is_empty() {
                    held.swap_remove(which.index(held.len()));
                    continue;
                }
                let tenant = which.get(&tenants);
                let of_tenant = held.iter().filter(|(number, _)| *number == tenant.number());
                let own: u32 = of_tenant.map(|(_, permit)| permit.count).sum();
                let result = permits.take(tenant, count);
                prop_assert!(result.is_ok() || own + count > permits.part, "{own} and {count} of {}", permits.part);
                prop_assert!(result.is_err() || own + count <= permits.most());
                held.extend(result.ok().map(|permit| (tenant.number(), permit)));
                prop_assert!(taken(&permits) <= all);
            }
            held.clear();
            prop_assert_eq!(taken(&permits), 0);
            prop_assert!(tenants.iter().all(|tenant| permits.take(tenant, permits.most()).is_ok()));
        }
    }
}
