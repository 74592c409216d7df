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
//! code only through the safe interface of the `openvino` crate.

mod check;
mod context;
mod error;
mod finder;
mod graph;
mod ports;
mod profile;
mod runtime;
mod spec;
mod tensor;

pub use check::{Bound, Checked, ContextState, Sizes, check};
pub use context::Context;
pub use error::{Error, ErrorKind};
pub use finder::{Place, Search};
pub use graph::{Graph, GraphFiles};
pub use profile::{Options, Profile};
pub use runtime::Runtime;
pub use spec::{Bounds, Dim, Direction, GraphSpec, Role, TensorSpec};
pub use tensor::{ElementType, Tensor, TensorView};
