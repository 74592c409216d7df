//! The engine that runs guests, and the guests that are built in.
//!
//! A guest is precompiled at build time and only mapped at start. Where the processor lacks the
//! baseline or the artifact does not fit, the component itself is compiled, which takes seconds and
//! is logged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::Error;
use crate::limits::EPOCH;

mod config;

/// A guest as it was built in: precompiled and, for processors below the baseline, as a component.
struct BuiltIn {
    name: &'static str,
    precompiled: &'static [u8],
    component: &'static [u8],
}

const TEXT: BuiltIn = BuiltIn {
    name: "text",
    precompiled: include_bytes!(concat!(env!("OUT_DIR"), "/text.cwasm")),
    component: include_bytes!(concat!(env!("OUT_DIR"), "/text.wasm")),
};

const IMAGE: BuiltIn = BuiltIn {
    name: "image",
    precompiled: include_bytes!(concat!(env!("OUT_DIR"), "/image.cwasm")),
    component: include_bytes!(concat!(env!("OUT_DIR"), "/image.wasm")),
};

/// wasmtime's engine with a ticking epoch, shared by every guest of the process. Clones are the
/// same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    precompiles: bool,
    text: Arc<OnceLock<Component>>,
    image: Arc<OnceLock<Component>>,
    _ticker: Arc<Ticker>,
}

impl Sandbox {
    /// Makes the engine and starts its clock.
    ///
    /// # Errors
    /// [`Error::Engine`] if this processor or system cannot run wasmtime.
    pub fn new() -> Result<Self, Error> {
        let (engine, precompiles) =
            match config::engine_config(env!("CARAFE_TARGET")).and_then(|config| Engine::new(&config)) {
                Ok(engine) => (engine, true),
                Err(reason) => {
                    tracing::warn!(
                        "this processor lacks the precompiled guests' baseline, compiling them instead: {reason:#}"
                    );
                    (Engine::new(&config::common_config()).map_err(Error::engine)?, false)
                }
            };
        let ticker = Arc::new(Ticker::start(engine.clone())?);
        Ok(Self { engine, precompiles, text: Arc::default(), image: Arc::default(), _ticker: ticker })
    }

    /// Whether this processor runs the guests as they were compiled beforehand, so that none is
    /// compiled at start.
    #[must_use]
    pub fn is_precompiled(&self) -> bool {
        self.precompiles
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn text_guest(&self) -> Result<Component, Error> {
        self.guest(&self.text, &TEXT)
    }

    pub(crate) fn image_guest(&self) -> Result<Component, Error> {
        self.guest(&self.image, &IMAGE)
    }

    /// Compiles a component that is not built in; for tests of the sandbox itself.
    ///
    /// # Errors
    /// [`Error::Engine`] if the bytes are no valid component.
    pub fn compile(&self, component: &[u8]) -> Result<Component, Error> {
        Component::from_binary(&self.engine, component).map_err(Error::engine)
    }

    fn guest(&self, cell: &OnceLock<Component>, guest: &BuiltIn) -> Result<Component, Error> {
        if let Some(component) = cell.get() {
            return Ok(component.clone());
        }
        let component = self.load(guest)?;
        Ok(cell.get_or_init(|| component).clone())
    }

    fn load(&self, guest: &BuiltIn) -> Result<Component, Error> {
        if self.precompiles {
            match deserialize(&self.engine, guest.precompiled) {
                Ok(component) => return Ok(component),
                Err(reason) => {
                    tracing::warn!("compiling the {} guest, its precompiled form is refused: {reason:#}", guest.name)
                }
            }
        }
        self.compile(guest.component)
    }
}

#[expect(unsafe_code, reason = "mapping native code that was compiled earlier cannot be checked by wasmtime")]
fn deserialize(engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the artifact was made by this crate's build script with
    // `Engine::precompile_component` and built into this binary, so nobody has changed it; wasmtime
    // refuses another version's, configuration's or processor's.
    unsafe { Component::deserialize(engine, artifact) }
}

/// A thread that moves the engine's epoch on, until it is dropped.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(EPOCH);
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("carafe-epoch".to_owned()).spawn(tick).map_err(Error::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A ticker that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}
