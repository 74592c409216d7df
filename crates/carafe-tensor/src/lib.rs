//! The words that every crate shares: for tensors (element types, dimensions, roles, the ports of a
//! paged decoder), and how an error is printed.
//!
//! A graph is known by its [`Port`]s. Each has a [`Role`], which says what the tensor means and who
//! sets it: a guest, whose values are checked, or the host alone. This crate knows no rules and
//! depends on nothing, so that guests, manifests and OpenVINO's side can use the same words.

mod chain;
mod decoder;
mod dim;
mod element;
mod role;

pub use chain::error_chain;
pub use decoder::{DECODER_INPUTS, Port, STATEFUL_INPUTS, input_owner};
pub use dim::{Dim, describe};
pub use element::ElementType;
pub use role::{Owner, Role};
