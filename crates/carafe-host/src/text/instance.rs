//! One instance of the text guest with a generator: its calls, each timed and bounded.

use std::mem::replace;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{Component, ResourceAny};

use super::{Event, Model, Request, RequestError, Stats};
use crate::Error;
use crate::bindings::text::Text;
use crate::guest::{GuestConfig, Instance, trap};
use crate::store::{State, start_call};
use crate::text_guest::TextGuest;

/// What instances of the text guest are made from.
pub(super) struct TextTemplate {
    guest: TextGuest,
    model: Model,
    tokenizer: Vec<u8>,
}

impl TextTemplate {
    pub(super) fn new(
        component: &Component,
        config: GuestConfig,
        model: Model,
        tokenizer: Vec<u8>,
    ) -> Result<Self, Error> {
        Ok(Self { guest: TextGuest::link(component, config)?, model, tokenizer })
    }

    fn refused(&self, message: String) -> Error {
        Error::Open { model: self.model.graph.clone(), message }
    }
}

/// A running guest with its generator.
pub(super) struct GeneratorInstance {
    store: Store<State>,
    guest: Text,
    generator: ResourceAny,
    /// What the generator had counted after the latest step.
    counted: Stats,
}

impl Instance for GeneratorInstance {
    type Template = TextTemplate;

    fn open(template: &TextTemplate) -> Result<Self, Error> {
        let (mut store, guest) = template.guest.instantiate()?;
        let interface = guest.carafe_guests_generation().generator();
        let opened = interface.call_open(&mut store, &template.model, &template.tokenizer);
        let opened = opened.map_err(|error| trap(&store, &error))?;
        let generator = opened.map_err(|message| template.refused(message))?;
        let counted = interface.call_stats(&mut store, generator).map_err(|error| trap(&store, &error))?;
        Ok(Self { store, guest, generator, counted })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

impl GeneratorInstance {
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

    /// Ends a request; how the generator stands then.
    pub(super) fn cancel(&mut self, request: u64) -> Result<Stats, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.generator().call_cancel(&mut self.store, self.generator, request);
        answer.map_err(|error| trap(&self.store, &error))?;
        let now = interface.generator().call_stats(&mut self.store, self.generator);
        now.map_err(|error| trap(&self.store, &error))
    }
}

/// A running guest with its preparer.
pub(super) struct PreparerInstance {
    store: Store<State>,
    guest: Text,
    preparer: ResourceAny,
}

impl Instance for PreparerInstance {
    type Template = TextTemplate;

    fn open(template: &TextTemplate) -> Result<Self, Error> {
        let (mut store, guest) = template.guest.instantiate()?;
        let interface = guest.carafe_guests_generation().preparer();
        let opened = interface.call_open(&mut store, &template.model, &template.tokenizer);
        let opened = opened.map_err(|error| trap(&store, &error))?;
        let preparer = opened.map_err(|message| template.refused(message))?;
        Ok(Self { store, guest, preparer })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

impl PreparerInstance {
    /// The tokens of a request's prompt. The outer error is a trap, the inner one the guest's
    /// refusal.
    pub(super) fn prepare(&mut self, request: &Request) -> Result<Result<Vec<u32>, RequestError>, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.preparer().call_prepare(&mut self.store, self.preparer, request);
        answer.map_err(|error| trap(&self.store, &error))
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
