//! The image module, from outside: files of every form, damage, and the samplings of JPEG.

#![cfg(feature = "image")]

mod around;
mod beyond;
mod damage;
mod encoder;
mod files;
mod matrix;
mod sampling;

/// Half of a guest's 256 MiB, as the host passes it to the decoder.
const MEMORY: u64 = 128 << 20;
