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
    /// Tokens that one request may have, prompt and output together; the model's own context, as
    /// far as the KV cache holds it, where absent.
    pub context_length: Option<u32>,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self {
            kv_cache: KvCacheSize::AtMost(2 << 30),
            max_num_seqs: 64,
            max_num_batched_tokens: 512,
            prefill_chunk: None,
            context_length: None,
        }
    }
}

impl DecoderLimits {
    /// The chunks in which prompts are computed.
    #[must_use]
    pub fn prefill_chunk(&self, text: &Text) -> u32 {
        self.prefill_chunk.unwrap_or(text.prefill_chunk)
    }

    /// The same with chunks twice as long, unless their length was asked for: where many rows cost
    /// little more than few, others wait no longer for them than they do elsewhere.
    pub(crate) fn with_long_chunks(self, text: &Text) -> Self {
        Self { prefill_chunk: self.prefill_chunk.or(Some(text.prefill_chunk.saturating_mul(2))), ..self }
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

/// What a decoder gets of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServedCache {
    /// Blocks of the KV cache.
    pub(crate) num_blocks: u32,
    /// Tokens that one request may have; the KV cache holds at least that many.
    pub(crate) context_length: u32,
}

/// How many blocks the KV cache of a model gets, and how long a context it serves: the one that was
/// asked for, else the model's own, or as much of it as the cache holds.
///
/// # Errors
/// [`Error::ContextLength`] where more was asked for than the model has, [`Error::KvCache`], with
/// the sum, where what was asked for does not fit, or not even one block.
pub(crate) fn served_cache(
    model: &str,
    text: &Text,
    layout: &CacheLayout,
    limits: &DecoderLimits,
) -> Result<ServedCache, Error> {
    let asked = limits.context_length;
    if let Some(asked) = asked.filter(|asked| *asked > text.context_length) {
        return Err(Error::ContextLength { model: model.to_owned(), asked, most: text.context_length });
    }
    let wanted = asked.unwrap_or(text.context_length);
    let blocks_of = |tokens: u32| u64::from(tokens.div_ceil(layout.block_size));
    let affordable = limits.kv_cache.bytes() / layout.block_bytes.max(1);
    if affordable < if asked.is_some() { blocks_of(wanted) } else { 1 } {
        return Err(Error::KvCache {
            model: model.to_owned(),
            size: limits.kv_cache.bytes(),
            context_length: wanted,
            needed: blocks_of(wanted) * layout.block_bytes,
        });
    }
    let held = u32::try_from(affordable.saturating_mul(layout.block_size.into())).unwrap_or(u32::MAX);
    let context_length = wanted.min(held);
    let num_blocks = match limits.kv_cache {
        KvCacheSize::Exactly(_) => affordable,
        KvCacheSize::AtMost(_) => affordable.min(blocks_of(context_length).saturating_mul(limits.max_num_seqs.into())),
    };
    // The number of a block crosses to OpenVINO as a signed integer.
    let num_blocks = u32::try_from(num_blocks).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs());
    Ok(ServedCache { num_blocks, context_length })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 1000;

    fn text() -> Text {
        Text {
            context_length: 100,
            vocabulary_size: 512,
            eos_token_ids: vec![0],
            prefill_chunk: 32,
            weight_bits: 8,
            special_tokens: std::collections::BTreeMap::new(),
            generation: carafe_models::manifest::GenerationDefaults::default(),
            activations: None,
        }
    }

    #[test]
    fn chunks_are_long_only_where_their_length_was_not_asked_for() {
        let limits = DecoderLimits::default().with_long_chunks(&text());
        assert_eq!(limits.prefill_chunk(&text()), 64);
        let asked = DecoderLimits { prefill_chunk: Some(96), ..DecoderLimits::default() };
        assert_eq!(asked.with_long_chunks(&text()).prefill_chunk(&text()), 96);
    }

    /// The cache of a model with a context of 100 tokens, four blocks of 32.
    fn served(kv_cache: KvCacheSize, context_length: Option<u32>) -> Result<(u32, u32), Error> {
        let precision = "f32".to_owned();
        let layout = CacheLayout {
            block_size: 32,
            block_bytes: BLOCK,
            key_precision: precision.clone(),
            value_precision: precision,
        };
        let limits = DecoderLimits { kv_cache, context_length, max_num_seqs: 2, ..DecoderLimits::default() };
        served_cache("small", &text(), &layout, &limits).map(|cache| (cache.num_blocks, cache.context_length))
    }

    #[test]
    fn a_context_that_fits_is_served_whole_and_a_longer_one_as_far_as_it_fits() {
        assert_eq!(served(KvCacheSize::AtMost(20 * BLOCK), None).ok(), Some((8, 100)));
        assert_eq!(served(KvCacheSize::Exactly(20 * BLOCK), None).ok(), Some((20, 100)));
        assert_eq!(served(KvCacheSize::AtMost(3 * BLOCK + 1), None).ok(), Some((3, 96)));
        assert_eq!(served(KvCacheSize::AtMost(20 * BLOCK), Some(40)).ok(), Some((4, 40)));
    }

    #[test]
    fn a_context_that_was_asked_for_is_served_whole_or_not_at_all() {
        assert!(matches!(served(KvCacheSize::AtMost(3 * BLOCK), Some(100)), Err(Error::KvCache { needed: 4000, .. })));
        assert!(matches!(
            served(KvCacheSize::AtMost(9 * BLOCK), Some(101)),
            Err(Error::ContextLength { most: 100, .. })
        ));
        assert!(matches!(served(KvCacheSize::Exactly(BLOCK - 1), None), Err(Error::KvCache { .. })));
    }

    #[test]
    fn the_logits_of_a_step_have_32_mib_at_most() {
        let limits = DecoderLimits::default();
        for (vocabulary_size, rows) in [(50_257, 166), (151_936, 55), (262_144, 32), (u32::MAX, 1), (1, 512)] {
            let text = Text { vocabulary_size, ..text() };
            assert_eq!(limits.max_num_logits(&text), rows, "{vocabulary_size}");
        }
    }
}
