//! The words for tensors that every crate shares: element types, dimensions, roles, and the ports of a paged decoder.
//!
//! A graph is known by its [`Port`]s. Each has a [`Role`], which says what the tensor means and who sets it: a guest, whose values
//! are checked, or the host alone. This crate knows no rules and depends on nothing, so that guests, manifests and OpenVINO's side
//! can use the same words.

mod decoder;
mod dim;
mod element;
mod role;

pub use decoder::{DECODER_INPUTS, DECODER_OUTPUT, Port, STATEFUL_INPUTS};
pub use dim::{Dim, describe};
pub use element::ElementType;
pub use role::{Owner, Role};
