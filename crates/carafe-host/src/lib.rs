//! The sandbox: guests that compute, and a host that lets them reach nothing but wasi:nn.
//!
//! - [`Sandbox`]: wasmtime's engine, the built-in guests and the clock that bounds them
//! - [`LoadedGraph`]: a model folder whose graph is compiled
//! - [`text::TextModel`], [`image::ImageModel`], [`tokenizer::Tokenizer`]: guests at work, each
//!   with its own memory and [`Limits`]
//! - `nn`: the host side of wasi:nn over `carafe-openvino`
//!
//! The API outwards is async without a runtime: a model's guest runs on a thread of its own,
//! requests and events travel over channels. This crate knows no HTTP, no files but model folders,
//! and nothing of tokens or pixels: that is the guests' business.

mod bindings;
mod decoder;
mod engine;
mod error;
mod guest;
pub mod image;
mod limits;
mod load;
mod nn;
mod resources;
mod store;
pub mod text;
mod text_guest;
pub mod tokenizer;

pub use decoder::{DecoderLimits, KvCacheSize};
pub use engine::Sandbox;
pub use error::Error;
pub use limits::Limits;
pub use load::{LoadedGraph, options_of};
pub use wasmtime::component::Component;
