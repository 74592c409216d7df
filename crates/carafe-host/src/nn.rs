//! The host side of wasi:nn: what a guest can do with graphs, contexts and tensors.
//!
//! A guest names graphs that the host has loaded and computes with them; nothing else. Whatever it
//! sends is checked before OpenVINO sees it, by `carafe-openvino`, which owns the rules for native
//! callers too; here stand the rules that only a guest needs: what it may keep (`tensor`), how long
//! its names may be, that `load` is refused (`graph`), and how many inputs a compute has
//! (`inference`). Errors (`errors`) carry the specification's codes and OpenVINO's own words.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::Error;
use crate::bindings::ml;
use crate::resources::{Code, Failure};
use crate::store::State;

mod errors;
mod graph;
mod inference;
mod tensor;

/// Longest name, in bytes, that a guest may send: longer ones are no name of anything and would
/// only fill the error's text.
const MAX_NAME: usize = 256;

/// A linker with wasi:nn and nothing else.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    ml::Ml::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).map_err(Error::engine)?;
    tensor::share_data(&mut linker).map_err(Error::engine)?;
    Ok(linker)
}

impl State {
    /// A call's answer in the guest's terms: a failure becomes an error that the guest holds, or a
    /// trap.
    fn answer<T>(&mut self, result: Result<T, Failure>) -> wasmtime::Result<Result<T, Resource<Failure>>> {
        let failure = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => failure,
        };
        tracing::debug!("wasi:nn refuses a guest's call: {:?}, {failure}", failure.code);
        match failure.code {
            Code::Trap => Err(wasmtime::Error::msg(failure.message)),
            _ => Ok(Err(self.table.push(failure)?)),
        }
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let message = format!("a name has {} bytes; names have at most {MAX_NAME}", name.len());
    Err(Failure::invalid(message))
}
