//! Errors as a guest sees them.

use wasmtime::component::Resource;

use crate::bindings::ml::wasi::nn::errors::{self, ErrorCode};
use crate::resources::{Code, Failure};
use crate::store::State;

impl errors::Host for State {}

impl errors::HostError for State {
    fn code(&mut self, error: Resource<Failure>) -> wasmtime::Result<ErrorCode> {
        Ok(match self.table.get(&error)?.code {
            Code::InvalidArgument => ErrorCode::InvalidArgument,
            Code::NotFound => ErrorCode::NotFound,
            Code::TooLarge => ErrorCode::TooLarge,
            Code::Runtime => ErrorCode::RuntimeError,
            Code::Security => ErrorCode::Security,
            Code::Trap => ErrorCode::Unknown,
        })
    }

    fn data(&mut self, error: Resource<Failure>) -> wasmtime::Result<String> {
        Ok(self.table.get(&error)?.message.clone())
    }

    fn drop(&mut self, error: Resource<Failure>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}
