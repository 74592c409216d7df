//! One instance of the text guest: the calls of its `generator`, each timed and bounded.

use std::mem::replace;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{Component, ResourceAny};

use super::{Event, Model, Request, RequestError, Stats};
use crate::Error;
use crate::bindings::text::{Text, TextPre};
use crate::guest::{Surroundings, trap};
use crate::store::{State, linker, start_call};

/// What an instance is made from, as often as one is needed.
pub(super) struct Blueprint {
    guest: TextPre<State>,
    surroundings: Surroundings,
    model: Model,
    tokenizer: Vec<u8>,
}

impl Blueprint {
    pub(super) fn new(
        component: &Component,
        surroundings: Surroundings,
        model: Model,
        tokenizer: Vec<u8>,
    ) -> Result<Self, Error> {
        let linker = linker(surroundings.sandbox.engine())?;
        let guest = linker.instantiate_pre(component).and_then(TextPre::new).map_err(Error::engine)?;
        Ok(Self { guest, surroundings, model, tokenizer })
    }
}

/// A running guest with its generator. After a trap it must be dropped: wasmtime lets nobody enter it again.
pub(super) struct Instance {
    store: Store<State>,
    guest: Text,
    generator: ResourceAny,
    /// What the generator had counted after the latest step.
    counted: Stats,
}

impl Instance {
    pub(super) fn open(blueprint: &Blueprint) -> Result<Self, Error> {
        let mut store = blueprint.surroundings.new_store();
        let guest = blueprint.guest.instantiate(&mut store).map_err(|error| trap(&store, &error))?;
        start_call(&mut store);
        let generator = guest
            .carafe_guests_generation()
            .generator()
            .call_open(&mut store, &blueprint.model, &blueprint.tokenizer)
            .map_err(|error| trap(&store, &error))?
            .map_err(|message| Error::Open { model: blueprint.model.graph.clone(), message })?;
        let counted = guest.carafe_guests_generation().generator().call_stats(&mut store, generator);
        let counted = counted.map_err(|error| trap(&store, &error))?;
        Ok(Self { store, guest, generator, counted })
    }

    /// The outer error is a trap, the inner one the guest's refusal.
    pub(super) fn submit(&mut self, request: &Request) -> Result<Result<u64, RequestError>, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.generator().call_submit(&mut self.store, self.generator, request);
        answer.map_err(|error| trap(&self.store, &error))
    }

    /// Events of one step, and what it took and achieved.
    pub(super) fn step(&mut self) -> Result<(Vec<Event>, StepReport), Error> {
        start_call(&mut self.store);
        let clock = &self.store.data().clock;
        let (native, host, inference) = (clock.total_native(), clock.total_host(), clock.total_inference());
        let started = Instant::now();
        let interface = self.guest.carafe_guests_generation();
        let events = interface.generator().call_step(&mut self.store, self.generator);
        let events = events.map_err(|error| trap(&self.store, &error))?;
        let (all, clock) = (started.elapsed(), &self.store.data().clock);
        let model = clock.total_native() - native;
        let (host, inference) = (clock.total_host() - host, clock.total_inference() - inference);
        let now = interface.generator().call_stats(&mut self.store, self.generator);
        let now = now.map_err(|error| trap(&self.store, &error))?;
        let before = replace(&mut self.counted, now);
        Ok((events, StepReport { all, model, host, inference, before, now }))
    }

    pub(super) fn cancel(&mut self, request: u64) -> Result<bool, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.generator().call_cancel(&mut self.store, self.generator, request);
        answer.map_err(|error| trap(&self.store, &error))
    }

    /// The most bytes that linear memory has had.
    pub(super) fn memory_high_water(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

/// What a step took and achieved.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepReport {
    /// Its time.
    pub(super) all: Duration,
    /// The part of it that OpenVINO took.
    pub(super) model: Duration,
    /// In computes as wasi:nn sees them: tensors taken and kept as well.
    pub(super) host: Duration,
    /// In OpenVINO alone.
    pub(super) inference: Duration,
    /// The guest's counters before the step, and after it.
    pub(super) before: Stats,
    pub(super) now: Stats,
}
