//! Who is next: the sequences that wait, in turn between tenants, then by arrival.
//!
//! A tenant is a client whom the host tells apart. For each is counted how many tokens the model
//! has computed for it, and the one with the fewest is next, so that a tenant with many requests
//! takes no more than its part while others want theirs. Who comes after a pause begins where the
//! least served of those at work stands: nobody saves up turns. (Sheng et al., "Fairness in Serving
//! Large Language Models", 2024.)

use std::collections::{BTreeMap, VecDeque};

use super::sequence::Sequence;

/// What is known of one tenant.
#[derive(Debug, Default)]
struct Tenant {
    /// In the order of their ids, which is that of arrival.
    waiting: VecDeque<Sequence>,
    /// Its sequences, those that run included.
    num_sequences: usize,
    /// Tokens that were computed for it, and those that it has given up by a pause.
    num_served: u64,
}

/// All tenants that have sequences, and those that were served more than others.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    tenants: BTreeMap<u64, Tenant>,
    /// Where a tenant that comes begins at least.
    floor: u64,
}

impl Tenants {
    /// Lets a new sequence wait.
    pub(super) fn enter(&mut self, sequence: Sequence) {
        self.raise_floor();
        let tenant = self.tenants.entry(sequence.tenant()).or_default();
        if tenant.num_sequences == 0 {
            tenant.num_served = tenant.num_served.max(self.floor);
        }
        tenant.num_sequences += 1;
        self.wait(sequence);
    }

    /// Lets a sequence wait that was here before, in its place by arrival.
    pub(super) fn wait(&mut self, sequence: Sequence) {
        let waiting = &mut self.tenants.entry(sequence.tenant()).or_default().waiting;
        let place = waiting.partition_point(|other| other.id < sequence.id);
        waiting.insert(place, sequence);
    }

    /// Notes that a sequence of this tenant, which does not wait any more, is gone.
    pub(super) fn leave(&mut self, tenant: u64) {
        self.raise_floor();
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.num_sequences -= 1;
        }
        let floor = self.floor;
        self.tenants.retain(|_, tenant| tenant.num_sequences > 0 || tenant.num_served > floor);
    }

    /// The sequence that is next among those that may run.
    pub(super) fn next(&self, may_run: impl Fn(&Sequence) -> bool) -> Option<&Sequence> {
        let mut turns: Vec<&Tenant> = self.tenants.values().filter(|tenant| !tenant.waiting.is_empty()).collect();
        turns.sort_by_key(|tenant| (tenant.num_served, tenant.waiting.front().map(|sequence| sequence.id)));
        turns.into_iter().find_map(|tenant| tenant.waiting.iter().find(|sequence| may_run(sequence)))
    }

    /// Takes out the sequence of this id, if it waits.
    pub(super) fn take(&mut self, id: u64) -> Option<Sequence> {
        self.tenants.values_mut().find_map(|tenant| {
            let place = tenant.waiting.binary_search_by_key(&id, |sequence| sequence.id).ok()?;
            tenant.waiting.remove(place)
        })
    }

    /// Notes that the model computes so many tokens for a tenant.
    pub(super) fn serve(&mut self, tenant: u64, num_tokens: usize) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.num_served += num_tokens as u64;
        }
    }

    /// How much a tenant was served; those with less are next.
    pub(super) fn num_served(&self, tenant: u64) -> u64 {
        self.tenants.get(&tenant).map_or(0, |tenant| tenant.num_served)
    }

    /// How many sequences wait.
    pub(super) fn num_waiting(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.waiting.len()).sum()
    }

    /// The floor is where the least served tenant at work stands; after the last has gone, where
    /// that one stood.
    fn raise_floor(&mut self) {
        let at_work = self.tenants.values().filter(|tenant| tenant.num_sequences > 0);
        if let Some(least) = at_work.map(|tenant| tenant.num_served).min() {
            self.floor = self.floor.max(least);
        }
    }
}
