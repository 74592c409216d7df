//! One guest's store: everything that the host knows about a running guest, and the bounds it runs in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings::ml;
use crate::limits::{GuestClock, Ledger, Limits, MemoryMeter};
use crate::{Error, nn};

/// Bytes that a guest may hand over in one call, above the tensors it may keep: names and shapes.
const CALL_OVERHEAD: u64 = 1 << 20;

/// The graphs that one guest may name.
pub(crate) type Graphs = Arc<BTreeMap<String, carafe_openvino::Graph>>;

/// What the host keeps beside one guest.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) graphs: Graphs,
    pub(crate) ledger: Ledger,
    pub(crate) clock: GuestClock,
    pub(crate) memory: MemoryMeter,
}

/// A linker with wasi:nn and nothing else.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    ml::Ml::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).map_err(Error::engine)?;
    nn::share_data(&mut linker).map_err(Error::engine)?;
    Ok(linker)
}

/// A store whose guest is held to these limits and sees only these graphs.
pub(crate) fn new_store(engine: &Engine, limits: &Limits, graphs: Graphs) -> Store<State> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    let bounds = graphs.values().filter_map(|graph| graph.spec().bounds());
    let positions = bounds.map(|bounds| u64::from(bounds.positions)).max().unwrap_or_default();
    let state = State {
        table,
        graphs,
        ledger: Ledger::new(limits, positions),
        clock: GuestClock::new(limits),
        memory: MemoryMeter::new(limits),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(usize::try_from(limits.tensor_bytes + CALL_OVERHEAD).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.epoch_deadline_callback(|store| match store.data().clock.epochs_left() {
        Some(epochs) => Ok(UpdateDeadline::Continue(epochs)),
        None => Err(wasmtime::Error::msg(format!(
            "the guest has computed for longer than its limit of {} a call",
            seconds(store.data().clock.limit())
        ))),
    });
    store
}

/// Starts the clock of one call into the guest. Every call goes through here.
pub(crate) fn start_call(store: &mut Store<State>) {
    store.data_mut().clock.start_call();
    let epochs = store.data().clock.limit_in_epochs();
    store.set_epoch_deadline(epochs);
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
