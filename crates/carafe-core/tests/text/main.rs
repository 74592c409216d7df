//! Behaviour of `carafe_core::text` as its users see it.

#![cfg(feature = "text")]

mod batching;
mod conversations;
mod echo;
mod fake;
mod generator;
mod golden;
mod kinds;
mod limits;
mod offsets;
mod properties;
mod requests;
mod resume;
mod sampling;
mod sharing;
mod streaming;
mod tenants;
mod tokenizer;
