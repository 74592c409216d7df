//! One guest's store: everything that the host knows about a running guest, and the bounds it runs
//! in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::limits::{GuestClock, Limits, MemoryMeter, ResourceQuota};

/// Bytes that a guest may hand over in one call, above the tensors it may keep: names and shapes.
const CALL_OVERHEAD: u64 = 1 << 20;

/// The graphs that one guest may name.
pub(crate) type Graphs = Arc<BTreeMap<String, carafe_openvino::Graph>>;

/// What the host keeps beside one guest.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) graphs: Graphs,
    pub(crate) quota: ResourceQuota,
    pub(crate) clock: GuestClock,
    pub(crate) memory: MemoryMeter,
}

/// A store whose guest is held to these limits and sees only these graphs.
pub(crate) fn new_store(engine: &Engine, limits: &Limits, graphs: Graphs) -> Store<State> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    let state = State {
        table,
        graphs,
        quota: ResourceQuota::new(limits),
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
            "the guest has computed for longer than its limit of {} of processor time a call",
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

#[cfg(test)]
mod tests {
    use std::thread;

    use wasm_encoder::{
        BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
        Module, TypeSection,
    };
    use wasmtime::Caller;

    use super::*;
    use crate::Sandbox;

    const LIMIT: Duration = Duration::from_millis(100);

    /// `waits` calls the host's `wait` and then comes to a loop's head, where guests look at the
    /// epoch; `works` never ends.
    fn module() -> Vec<u8> {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        types.ty().function([], []);
        imports.import("host", "wait", EntityType::Function(0));
        functions.function(0).function(0);
        exports.export("waits", ExportKind::Func, 1).export("works", ExportKind::Func, 2);
        let mut waits = Function::new([]);
        waits.instructions().call(0).loop_(BlockType::Empty).end().end();
        let mut works = Function::new([]);
        works.instructions().loop_(BlockType::Empty).br(0).end().end();
        code.function(&waits).function(&works);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    /// Keeps the guest from the processor for longer than its limit, with as many epochs as would
    /// pass then, and more.
    fn wait(caller: Caller<'_, State>) {
        thread::sleep(2 * LIMIT);
        let epochs = 2 * caller.data().clock.limit_in_epochs();
        (0..epochs).for_each(|_| caller.engine().increment_epoch());
    }

    #[test]
    fn a_guest_that_does_not_get_the_processor_goes_on_and_one_that_never_ends_is_stopped() -> wasmtime::Result<()> {
        let sandbox = Sandbox::new()?;
        let mut store =
            new_store(sandbox.engine(), &Limits { call_time: LIMIT, ..Limits::default() }, Graphs::default());
        let mut linker = wasmtime::Linker::new(sandbox.engine());
        linker.func_wrap("host", "wait", wait)?;
        start_call(&mut store);
        let guest = linker.instantiate(&mut store, &wasmtime::Module::new(sandbox.engine(), module())?)?;
        let waits = guest.get_typed_func::<(), ()>(&mut store, "waits")?;
        let works = guest.get_typed_func::<(), ()>(&mut store, "works")?;
        start_call(&mut store);
        waits.call(&mut store, ())?;
        start_call(&mut store);
        let stopped = works.call(&mut store, ()).expect_err("it never ends");
        let words = stopped.root_cause().to_string();
        assert!(words.contains("limit of 0.1 s of processor time"), "{words}");
        Ok(())
    }
}
