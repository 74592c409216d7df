//! Who is next: the sequences that wait, in turn between tenants, then by arrival.
//!
//! A tenant is a client whom the host tells apart. For each tenant the tokens are counted that the
//! model computes for it: those of a prompt when its sequence is let in, those of an output as they
//! come. The tenant with the lowest count is next. So a tenant with many requests takes no more
//! than its part while others wait. A tenant that had nothing waiting, and now has, is raised to
//! the lowest count of those that wait: turns cannot be saved up. (The virtual token counter of
//! Sheng et al., "Fairness in Serving Large Language Models", 2024.)

use std::collections::{BTreeMap, VecDeque};

use super::sequence::Sequence;

/// What is known of one tenant.
#[derive(Debug, Default)]
struct Tenant {
    /// In the order of their ids, which is that of arrival.
    waiting: VecDeque<Sequence>,
    /// Its sequences, waiting and running.
    num_sequences: usize,
    /// The count that decides whose turn it is.
    num_tokens: u64,
}

/// All tenants that have sequences, and those whose count is above the floor.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    tenants: BTreeMap<u64, Tenant>,
    /// The least count of a tenant that begins to wait.
    floor: u64,
}

impl Tenants {
    /// Lets a new sequence wait.
    pub(super) fn add(&mut self, sequence: Sequence) {
        self.raise_floor();
        let tenant = self.tenants.entry(sequence.tenant()).or_default();
        if tenant.waiting.is_empty() {
            tenant.num_tokens = tenant.num_tokens.max(self.floor);
        }
        tenant.num_sequences += 1;
        self.requeue(sequence);
    }

    /// Lets a sequence wait again, in its place by arrival.
    pub(super) fn requeue(&mut self, sequence: Sequence) {
        let waiting = &mut self.tenants.entry(sequence.tenant()).or_default().waiting;
        let place = waiting.partition_point(|other| other.id < sequence.id);
        waiting.insert(place, sequence);
    }

    /// Notes that a sequence of this tenant, which does not wait any more, is gone.
    pub(super) fn remove(&mut self, tenant: u64) {
        self.raise_floor();
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.num_sequences -= 1;
        }
        let floor = self.floor;
        self.tenants.retain(|_, tenant| tenant.num_sequences > 0 || tenant.num_tokens > floor);
    }

    /// The sequence that is next among those that may run.
    pub(super) fn next(&self, may_run: impl Fn(&Sequence) -> bool) -> Option<&Sequence> {
        let mut turns: Vec<&Tenant> = self.tenants.values().filter(|tenant| !tenant.waiting.is_empty()).collect();
        turns.sort_by_key(|tenant| (tenant.num_tokens, tenant.waiting.front().map(|sequence| sequence.id)));
        turns.into_iter().find_map(|tenant| tenant.waiting.iter().find(|sequence| may_run(sequence)))
    }

    /// Takes out the sequence of this id, if it waits.
    pub(super) fn take(&mut self, id: u64) -> Option<Sequence> {
        self.tenants.values_mut().find_map(|tenant| {
            let place = tenant.waiting.binary_search_by_key(&id, |sequence| sequence.id).ok()?;
            tenant.waiting.remove(place)
        })
    }

    /// Counts tokens that the model computes for a tenant.
    pub(super) fn charge(&mut self, tenant: u64, num_tokens: usize) {
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.num_tokens += num_tokens as u64;
        }
    }

    /// A tenant's count; the tenant with the lowest is next.
    pub(super) fn num_tokens(&self, tenant: u64) -> u64 {
        self.tenants.get(&tenant).map_or(0, |tenant| tenant.num_tokens)
    }

    /// How many sequences wait.
    pub(super) fn num_waiting(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.waiting.len()).sum()
    }

    /// Raises the floor to the lowest count of the tenants that wait; where none waits, to the
    /// highest of those that run.
    fn raise_floor(&mut self) {
        let waiting = self.tenants.values().filter(|tenant| !tenant.waiting.is_empty());
        let lowest = waiting.map(|tenant| tenant.num_tokens).min();
        let running = self.tenants.values().filter(|tenant| tenant.num_sequences > 0);
        let highest = running.map(|tenant| tenant.num_tokens).max();
        self.floor = self.floor.max(lowest.or(highest).unwrap_or_default());
    }
}
