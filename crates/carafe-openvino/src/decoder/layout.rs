//! How the plugin lays a decoder's KV cache out.

use crate::error::Error;
use crate::native;

/// The KV cache as the plugin lays it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// Tokens of a block.
    pub block_size: u32,
    /// Bytes of a block over all layers, keys and values.
    pub block_bytes: u64,
    /// The element type of keys in OpenVINO's words.
    pub key_precision: String,
    /// The element type of values in OpenVINO's words.
    pub value_precision: String,
}

impl CacheLayout {
    pub(crate) fn read(compiled: &native::Graph) -> Result<Self, Error> {
        let cache = compiled.cache().map_err(Error::native("describe the KV cache"))?;
        let block_size = u32::try_from(cache.block_size).ok().filter(|&size| size > 0).ok_or_else(|| {
            let (expected, got) = ("blocks of at least one token".to_owned(), format!("{} tokens", cache.block_size));
            Error::PropertyChanged { property: "block size of the KV cache".to_owned(), expected, got }
        })?;
        Ok(Self {
            block_size,
            block_bytes: cache.block_bytes,
            key_precision: cache.key_element,
            value_precision: cache.value_element,
        })
    }
}
