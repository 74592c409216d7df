//! What all guests have in common: how one is made, and what its failures are called.

use wasmtime::Store;

use crate::Error;
use crate::engine::Sandbox;
use crate::limits::Limits;
use crate::store::{Graphs, State, new_store, start_call};

/// What a guest's store is made from, as often as one is needed.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) sandbox: Sandbox,
    pub(crate) graphs: Graphs,
    pub(crate) limits: Limits,
}

impl Surroundings {
    /// A fresh store, its clock started for the first call.
    pub(crate) fn new_store(&self) -> Store<State> {
        let mut store = new_store(self.sandbox.engine(), &self.limits, self.graphs.clone());
        start_call(&mut store);
        store
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
