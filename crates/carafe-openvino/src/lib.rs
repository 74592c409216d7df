//! OpenVINO made safe.
//!
//! [`Runtime`] finds and loads the native library, [`Graph`] is one model compiled under one
//! [`Profile`], and a [`Context`] computes with it, keeping the graph's state (the KV cache)
//! between inferences.
//!
//! OpenVINO checks neither the values of index inputs nor that they fit its state: a wrong block
//! reads foreign memory. So every tensor passes [`check()`] first, and a decoder's values
//! [`decoder::check_inputs`], the one place that owns these rules, natively and in the sandbox
//! alike; what a graph expects is said by its [`GraphKind`].
//!
//! This crate knows no wasm, no manifest and no tokens, reads no environment variables of its own,
//! and reaches native code through one module, `native`: the layer of `native/carafe_openvino.cpp`.

mod check;
mod compile;
mod context;
pub mod decoder;
mod error;
mod finder;
mod graph;
mod kind;
mod native;
mod platform;
mod ports;
mod profile;
mod runtime;
mod searched;
mod shape;
mod tensor;

pub use check::check;
pub use compile::GraphFiles;
pub use context::Context;
pub use error::{Error, ErrorKind};
pub use finder::Search;
pub use graph::Graph;
pub use kind::{ClassifierSpec, DecoderSpec, GraphKind, TensorSpec};
pub use profile::{Activations, KvCachePrecision, Options, Profile};
pub use runtime::Runtime;
pub use searched::Searched;
pub use shape::{Bound, Direction};
pub use tensor::{ElementType, Tensor, TensorView};
