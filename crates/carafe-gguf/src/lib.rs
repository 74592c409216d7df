//! Reads GGUF files: what llama.cpp and its relatives keep a language model in.
//!
//! A file is a header, metadata (names and values, the tokenizer's vocabulary among them), a table
//! of tensors, and the tensors' data:
//!
//! ```text
//! "GGUF", version, number of tensors, number of metadata entries
//! metadata   name, type, value                         (`metadata`)
//! tensors    name, dimensions, type, offset            (`tensor`)
//! padding, then data: each tensor at a multiple of `general.alignment`
//! ```
//!
//! The file is a stranger's. [`Gguf::read`] reads everything before the data, in one pass and from
//! any reader, and refuses what does not add up: no length is believed before as many bytes are
//! left in the file, nothing is allocated for more than these, and every tensor lies within the
//! file, aligned, over no other. So code that reads data by a [`TensorInfo`] needs no check of its
//! own.
//!
//! Source: the specification in ggml's `docs/gguf.md`, versions 2 and 3. Only little-endian files
//! are read; big-endian ones are told apart and refused.

mod error;
mod file;
mod limits;
mod metadata;
mod reader;
mod tensor;

pub use error::{Error, TensorFault};
pub use file::Gguf;
pub use limits::{MAX_DIMENSIONS, MAX_HEADER_BYTES, MAX_TENSORS};
pub use metadata::{Array, Value};
pub use tensor::{TensorInfo, TensorType};
