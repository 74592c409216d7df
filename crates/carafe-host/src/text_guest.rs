//! The text guest's component, ready to be instantiated: for generators, preparers and tokenizers.

use wasmtime::Store;
use wasmtime::component::Component;

use crate::Error;
use crate::bindings::text::{Text, TextPre};
use crate::guest::{GuestConfig, trap};
use crate::nn::linker;
use crate::store::{State, start_call};

/// A component of the text guest's world, linked, and what its stores are made from.
pub(crate) struct TextGuest {
    linked: TextPre<State>,
    config: GuestConfig,
}

impl TextGuest {
    pub(crate) fn link(component: &Component, config: GuestConfig) -> Result<Self, Error> {
        let linker = linker(config.sandbox.engine())?;
        let linked = linker.instantiate_pre(component).and_then(TextPre::new).map_err(Error::engine)?;
        Ok(Self { linked, config })
    }

    /// A fresh instance, its clock started for the first call.
    pub(crate) fn instantiate(&self) -> Result<(Store<State>, Text), Error> {
        let mut store = self.config.new_store();
        let guest = self.linked.instantiate(&mut store).map_err(|error| trap(&store, &error))?;
        start_call(&mut store);
        Ok((store, guest))
    }
}
