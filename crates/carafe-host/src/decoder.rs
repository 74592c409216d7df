//! What a decoder may use: the memory of its KV cache, and how much one inference may ask for.

use carafe_models::manifest::Text;
use carafe_openvino::decoder::CacheLayout;

use crate::Error;

/// Bytes of the logits that one inference gives at most.
const LOGITS_BYTES: u32 = 32 << 20;

/// The memory of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvCacheSize {
    /// This many bytes, as far as they are whole blocks.
    Exactly(u64),
    /// At most this many bytes, and no more than `max_num_seqs` full contexts.
    AtMost(u64),
}

impl KvCacheSize {
    fn bytes(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// What a decoder may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderLimits {
    /// The memory of the KV cache.
    pub kv_cache: KvCacheSize,
    /// Sequences of one inference at most.
    pub max_num_seqs: u32,
    /// Tokens of one inference at most; at least a chunk of a prompt beside one token of every
    /// sequence.
    pub max_num_batched_tokens: u32,
    /// Prompts are computed in chunks that end at multiples of this; the manifest's where absent.
    pub prefill_chunk: Option<u32>,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self {
            kv_cache: KvCacheSize::AtMost(2 << 30),
            max_num_seqs: 64,
            max_num_batched_tokens: 512,
            prefill_chunk: None,
        }
    }
}

impl DecoderLimits {
    /// The chunks in which prompts are computed.
    #[must_use]
    pub fn prefill_chunk(&self, text: &Text) -> u32 {
        self.prefill_chunk.unwrap_or(text.prefill_chunk)
    }

    /// Tokens of one inference of a model at most.
    #[must_use]
    pub fn max_num_batched_tokens(&self, text: &Text) -> u32 {
        self.max_num_batched_tokens.max(self.prefill_chunk(text).saturating_add(self.max_num_seqs))
    }

    /// Tokens of one inference at most whose logits are given.
    #[must_use]
    pub fn max_num_logits(&self, text: &Text) -> u32 {
        let of_one_token = text.vocabulary_size.saturating_mul(4).max(1);
        (LOGITS_BYTES / of_one_token).clamp(1, self.max_num_batched_tokens(text))
    }
}

/// How many blocks the KV cache of a model gets.
///
/// # Errors
/// [`Error::KvCache`], with the sum, where one full context does not fit.
pub(crate) fn num_blocks(model: &str, text: &Text, layout: &CacheLayout, limits: &DecoderLimits) -> Result<u32, Error> {
    let of_a_context = u64::from(text.context_length.div_ceil(layout.block_size));
    let of_all = of_a_context.saturating_mul(limits.max_num_seqs.into());
    let affordable = limits.kv_cache.bytes() / layout.block_bytes.max(1);
    if affordable < of_a_context {
        return Err(Error::KvCache {
            model: model.to_owned(),
            size: limits.kv_cache.bytes(),
            context_length: text.context_length,
            needed: of_a_context * layout.block_bytes,
        });
    }
    let num_blocks = match limits.kv_cache {
        KvCacheSize::Exactly(_) => affordable,
        KvCacheSize::AtMost(_) => affordable.min(of_all),
    };
    // The number of a block crosses to OpenVINO as a signed integer.
    Ok(u32::try_from(num_blocks).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs()))
}
