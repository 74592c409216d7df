//! What a Carafe guest computes, as plain Rust: no I/O, no WebAssembly, no async, no clock and no
//! ambient randomness.
//!
//! The `text` feature holds the [`tokenizer`], the sampler, the stop rules and the generator that
//! turns requests into events through [`text::ModelRunner`]; the `image` feature holds decoding,
//! resizing, pixel layout and the reading of scores. The same source runs in the sandbox and
//! natively, and gives the same bits in both: no std transcendental function is called and sums
//! have a fixed order.

#[cfg(feature = "chat")]
pub mod chat;

#[cfg(feature = "text")]
pub mod text;

#[cfg(feature = "text")]
pub mod tokenizer;

#[cfg(feature = "image")]
pub mod image;
