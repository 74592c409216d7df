//! What no model reaches, and no file may exceed.

/// Tensors of a file at most: ten times what the largest models have.
pub const MAX_TENSORS: u64 = 1 << 17;

/// Most dimensions of a tensor.
pub const MAX_DIMENSIONS: u32 = 4;

/// Bytes before the tensors' data at most: twenty times what the largest vocabularies take.
pub const MAX_HEADER_BYTES: u64 = 512 << 20;
