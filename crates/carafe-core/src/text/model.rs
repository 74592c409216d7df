//! What the generator must know of a text model: its sizes and its EOS tokens.

use crate::tokenizer::Tokenizer;

/// The sizes of a text model, as its manifest gives them, and of its KV cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextModel {
    /// How many tokens a sequence may have, prompt and output together.
    pub context_length: u32,
    /// V: how many tokens the model knows; ids are below this.
    pub vocabulary_size: u32,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// Tokens of a block of the KV cache.
    pub block_size: u32,
    /// Blocks of the KV cache; together they hold at least one whole context.
    pub num_blocks: u32,
    /// How many sequences an inference may have.
    pub max_num_seqs: u32,
    /// T: how many tokens an inference may have.
    pub max_num_batched_tokens: u32,
    /// N: of how many tokens an inference may give the logits.
    pub max_num_logits: u32,
    /// Prompts are computed in chunks that end at multiples of this, itself a multiple of
    /// `block_size`.
    pub prefill_chunk: u32,
    /// Draft tokens of a step (prompt-lookup speculative decoding); 0 for none. It changes speed
    /// and nothing else.
    pub draft_tokens: u32,
    /// Which requests share full blocks of the KV cache.
    pub prefix_sharing: PrefixSharing,
}

/// Which requests share full blocks of the KV cache, those of requests that have ended included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PrefixSharing {
    /// None: every request computes its whole prompt.
    Off,
    /// Those of the same tenant, so that the time of a first token tells nobody what another has
    /// sent.
    #[default]
    Tenant,
    /// All.
    All,
}

impl PrefixSharing {
    /// What a tenant's blocks are told apart by; none if it shares nothing.
    pub(super) fn salt(self, tenant: u64) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::Tenant => Some(tenant),
            Self::All => Some(0),
        }
    }
}

/// Why a model and its tokenizer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A size is out of its range.
    #[error("the model's `{name}` must be {least} to 2147483647, got {value}")]
    Size {
        /// The field of [`TextModel`].
        name: &'static str,
        /// What it must be at least.
        least: u32,
        /// What it is.
        value: u32,
    },
    /// Not even one whole sequence could be cached.
    #[error(
        "a KV cache of {num_blocks} blocks of {block_size} tokens cannot hold one context of {context_length} tokens"
    )]
    Cache {
        /// The model's `num_blocks`.
        num_blocks: u32,
        /// The model's `block_size`.
        block_size: u32,
        /// The model's `context_length`.
        context_length: u32,
    },
    /// Chunks would not end at the ends of blocks.
    #[error("the model's `prefill_chunk` is {prefill_chunk}; it must be a multiple of its `block_size`, {block_size}")]
    Chunk {
        /// The model's `prefill_chunk`.
        prefill_chunk: u32,
        /// The model's `block_size`.
        block_size: u32,
    },
    /// The tokenizer is another model's: a text could have a token without logits.
    #[error("the model knows {model} tokens, its tokenizer {tokenizer}; the tokenizer may have fewer, but not more")]
    Vocabulary {
        /// The model's `vocabulary_size`.
        model: u32,
        /// The tokenizer's vocabulary size: what its ids are below.
        tokenizer: u32,
    },
    /// An EOS token is no token of the model.
    #[error("the model's EOS token {id} is outside its vocabulary of {vocabulary_size}")]
    EosToken {
        /// The token.
        id: u32,
        /// The model's `vocabulary_size`.
        vocabulary_size: u32,
    },
}

impl TextModel {
    /// Checks the sizes, and that the model knows every token of `tokenizer`. It may know more,
    /// which are never chosen.
    pub fn check(&self, tokenizer: &Tokenizer) -> Result<(), ModelError> {
        for (name, value) in [
            ("context_length", self.context_length),
            ("vocabulary_size", self.vocabulary_size),
            ("block_size", self.block_size),
            ("num_blocks", self.num_blocks),
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_logits", self.max_num_logits),
            ("prefill_chunk", self.prefill_chunk),
        ] {
            check_size(name, value, 1)?;
        }
        // A chunk beside sequences that decode, and one token at least for each of these.
        let least = self.prefill_chunk.saturating_add(self.max_num_seqs);
        check_size("max_num_batched_tokens", self.max_num_batched_tokens, least)?;
        self.check_blocks()?;
        if tokenizer.vocabulary_size() > self.vocabulary_size {
            return Err(ModelError::Vocabulary { model: self.vocabulary_size, tokenizer: tokenizer.vocabulary_size() });
        }
        match self.eos_token_ids.iter().find(|&&id| id >= self.vocabulary_size) {
            Some(&id) => Err(ModelError::EosToken { id, vocabulary_size: self.vocabulary_size }),
            None => Ok(()),
        }
    }

    fn check_blocks(&self) -> Result<(), ModelError> {
        let Self { num_blocks, block_size, context_length, prefill_chunk, .. } = *self;
        if u64::from(num_blocks) * u64::from(block_size) < u64::from(context_length) {
            return Err(ModelError::Cache { num_blocks, block_size, context_length });
        }
        if !prefill_chunk.is_multiple_of(block_size) {
            return Err(ModelError::Chunk { prefill_chunk, block_size });
        }
        Ok(())
    }
}

/// Refuses a size below its least, or one that no signed 32-bit integer holds.
fn check_size(name: &'static str, value: u32, least: u32) -> Result<(), ModelError> {
    if (least..=i32::MAX.unsigned_abs()).contains(&value) {
        Ok(())
    } else {
        Err(ModelError::Size { name, least, value })
    }
}
