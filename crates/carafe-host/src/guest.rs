//! What all guests have in common: what an instance is made from, how one is replaced after a trap,
//! and what failures are called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;

use crate::Error;
use crate::engine::Sandbox;
use crate::limits::Limits;
use crate::store::{Graphs, State, new_store, start_call};

/// What a guest's store is made from, as often as one is needed.
#[derive(Clone)]
pub(crate) struct GuestConfig {
    pub(crate) sandbox: Sandbox,
    pub(crate) graphs: Graphs,
    pub(crate) limits: Limits,
}

impl GuestConfig {
    /// A fresh store, its clock started for the first call.
    pub(crate) fn new_store(&self) -> Store<State> {
        let mut store = new_store(self.sandbox.engine(), &self.limits, self.graphs.clone());
        start_call(&mut store);
        store
    }
}

/// A running guest. After a trap it must be dropped: wasmtime lets nobody enter it again.
pub(crate) trait Instance: Sized {
    /// What instances are made from.
    type Template;

    /// What they do, for the log.
    const KIND: &str;

    /// Makes one.
    fn open(template: &Self::Template) -> Result<Self, Error>;

    /// The most bytes that its linear memory has had.
    fn memory(&self) -> u64;
}

/// A guest that outlives its instances: one that traps is replaced at the next call.
pub(crate) struct Guest<I: Instance> {
    template: Arc<I::Template>,
    instance: Option<I>,
    memory: u64,
    opening: Duration,
    replaced: u64,
}

impl<I: Instance> Guest<I> {
    /// Opens the first instance, so that what a guest refuses is refused before anything runs.
    pub(crate) fn open(template: Arc<I::Template>) -> Result<Self, Error> {
        let mut guest = Self { template, instance: None, memory: 0, opening: Duration::ZERO, replaced: 0 };
        guest.instance = Some(guest.new_instance()?);
        Ok(guest)
    }

    /// Calls the guest, in a new instance where there is none.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut I) -> Result<T, Error>) -> Result<T, Error> {
        let mut instance = self.instance.take().map_or_else(|| self.new_instance(), Ok)?;
        let answer = call(&mut instance);
        self.memory = self.memory.max(instance.memory());
        if matches!(answer, Err(Error::Trap(_))) {
            self.replaced += 1;
        } else {
            self.instance = Some(instance);
        }
        answer
    }

    fn new_instance(&mut self) -> Result<I, Error> {
        let started = Instant::now();
        let instance = I::open(&self.template)?;
        self.opening = started.elapsed();
        self.memory = self.memory.max(instance.memory());
        tracing::info!(
            kind = I::KIND,
            seconds = self.opening.as_secs_f64(),
            memory = instance.memory(),
            "guest opened"
        );
        Ok(instance)
    }

    /// How long the latest instance took to open.
    pub(crate) fn opening(&self) -> Duration {
        self.opening
    }

    /// Most bytes of linear memory that an instance has had.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Instances that trapped.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }
}

/// Words for a guest that stopped in the middle of a call; its backtrace goes to the log.
pub(crate) fn trap(store: &Store<State>, error: &wasmtime::Error) -> Error {
    tracing::warn!("a guest trapped: {error:?}");
    let memory = &store.data().memory;
    Error::Trap(match memory.refused() {
        Some(wanted) => format!(
            "it asked for {wanted} bytes of memory and may have {}; a larger cap can be set with `--guest-memory`",
            memory.cap()
        ),
        None => error.root_cause().to_string(),
    })
}
