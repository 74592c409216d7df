//! OpenVINO made safe.
//!
//! [`Runtime`] finds and loads the native library, [`Graph`] is one model compiled under one [`Profile`], and a
//! [`Context`] computes with it, keeping the graph's state (the KV cache) between computes.
//!
//! OpenVINO checks neither the values of index inputs nor that a mask fits its state: a wrong `beam_idx` reads
//! foreign memory. So every tensor passes [`check()`] first, the one place that owns these rules, natively and in the
//! sandbox alike; what a graph expects is said by its [`GraphSpec`].
//!
//! This crate knows no wasm, no manifest and no tokens, reads no environment variables of its own, and reaches native
//! code through one module, `native`: the layer of `native/carafe_openvino.cpp`.

mod check;
mod compile;
mod context;
mod error;
mod finder;
mod graph;
mod native;
pub mod paged;
mod place;
mod ports;
mod profile;
mod runtime;
mod shape;
mod spec;
mod tensor;

pub use check::{Checked, ContextState, Sizes, check};
pub use compile::GraphFiles;
pub use context::Context;
pub use error::{Error, ErrorKind};
pub use finder::Search;
pub use graph::Graph;
pub use place::Place;
pub use profile::{Options, Profile};
pub use runtime::Runtime;
pub use shape::{Bound, Dim, Direction, Role};
pub use spec::{Bounds, GraphSpec, TensorSpec};
pub use tensor::{ElementType, Tensor, TensorView};
