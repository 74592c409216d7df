//! Text to tokens and back: byte-level BPE from a Hugging Face `tokenizer.json`.
//!
//! Encoding is done by the `tokenizers` crate; the bytes of every token are worked out once, so
//! that decoding is a lookup. Only what GPT-2's family uses is accepted: a BPE model over bytes
//! with GPT-2's pre-tokenizer, no normalizer, truncation, padding or tokens added around the text.
//! Anything else would silently mean other tokens, and is refused by name.
//!
//! Special tokens in text are text: `<|endoftext|>` typed by a user is spelled out in ordinary
//! tokens and never acts as control. Whoever wants the special token passes its id. Decoding gives
//! a special token its own text.

use tokenizers::{
    AddedToken, DecoderWrapper, Model, ModelWrapper, PostProcessorWrapper, PreTokenizerWrapper, models::bpe::BPE,
};

use super::byte_level;

/// The longest text that is encoded, in bytes. On a run of a million spaces the pre-tokenizer's
/// regular expression would give up and tell nobody, so that all that follows became one word; and
/// encoding takes time, of which a guest has little.
pub const MAX_TEXT_BYTES: usize = 500_000;

/// Why a tokenizer was refused, or could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The bytes are no `tokenizer.json`.
    #[error("failed to read the tokenizer")]
    Unreadable(#[source] tokenizers::Error),
    /// The tokenizer is of a kind that is not supported.
    #[error("the tokenizer is no byte-level BPE as GPT-2's: `{part}` must be {expected}")]
    Unsupported {
        /// The key in `tokenizer.json`.
        part: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Some byte has no token, so some text could not be encoded.
    #[error("the tokenizer has no token for byte {byte:#04x}")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// The ids are not 0, 1, 2, … without gap.
    #[error("the tokenizer has {size} tokens, but none with id {id}; ids must run from 0 without gap")]
    MissingId {
        /// How many tokens there are.
        size: u32,
        /// The first id without a token.
        id: u32,
    },
    /// A text is too long to be encoded.
    #[error("the text has {bytes} bytes; at most {MAX_TEXT_BYTES} are encoded at once")]
    TextTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A text could not be encoded.
    #[error("failed to encode the text")]
    Encode(#[source] tokenizers::Error),
    /// An id has no token.
    #[error("token {id} is outside the tokenizer's vocabulary of {size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// How many tokens there are; ids are below this.
        size: u32,
    },
}

/// Byte-level BPE with the bytes of each of its tokens.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where each token's bytes end in `bytes`.
    ends: Vec<u32>,
    /// The length of the longest token.
    longest: usize,
    /// The special tokens, ascending.
    special: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokenizer").field("vocabulary_size", &self.vocabulary_size()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_bytes(json: &[u8]) -> Result<Self, TokenizerError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(TokenizerError::Unreadable)?;
        check_parts(&inner)?;
        check_bytes(&inner)?;
        inner.set_encode_special_tokens(true);
        let mut tokenizer = Self { inner, bytes: Vec::new(), ends: Vec::new(), longest: 0, special: Vec::new() };
        tokenizer.read_vocabulary()?;
        Ok(tokenizer)
    }

    /// How many tokens there are; ids are below this.
    pub fn vocabulary_size(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The length of the longest token in bytes: n tokens never hold more than n times as many.
    pub fn longest_token(&self) -> usize {
        self.longest
    }

    /// Whether a token is special: one that controls, and is no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.binary_search(&id).is_ok()
    }

    /// The tokens of `text`, at most [`MAX_TEXT_BYTES`] long; none for the empty text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TokenizerError::TextTooLong { bytes: text.len() });
        }
        let encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Encode)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The bytes that token `id` stands for: often no whole characters. None where there is no such
    /// token.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        let id = usize::try_from(id).ok()?;
        let end = *self.ends.get(id)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        Some(&self.bytes[start..end])
    }

    /// The text of the tokens; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let mut bytes = Vec::new();
        for &id in ids {
            let unknown = TokenizerError::UnknownToken { id, size: self.vocabulary_size() };
            bytes.extend_from_slice(self.token_bytes(id).ok_or(unknown)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Fills the table of the tokens' bytes.
    fn read_vocabulary(&mut self) -> Result<(), TokenizerError> {
        let size = self.inner.get_vocab_size(true) as u32;
        let characters = byte_level::bytes_by_character();
        let added = self.inner.get_added_tokens_decoder();
        for id in 0..size {
            let token = self.inner.id_to_token(id).ok_or(TokenizerError::MissingId { size, id })?;
            let start = self.bytes.len();
            match token_as_bytes(&token, &characters) {
                Some(bytes) if !added.contains_key(&id) => self.bytes.extend_from_slice(&bytes),
                _ => self.bytes.extend_from_slice(token.as_bytes()),
            }
            if added.get(&id).is_some_and(|token| token.special) {
                self.special.push(id);
            }
            self.longest = self.longest.max(self.bytes.len() - start);
            self.ends.push(self.bytes.len() as u32);
        }
        Ok(())
    }
}

/// The bytes that a token's characters stand for; none where a character stands for no byte.
fn token_as_bytes(token: &str, characters: &[Option<u8>]) -> Option<Vec<u8>> {
    token.chars().map(|character| characters.get(character as usize).copied().flatten()).collect()
}

const FOR_TRAINING: &str =
    "null, for no text is cut or filled here; `convert` drops it, in a file of your own set it to null";

/// Refuses every part that would make the tokens differ from plain byte-level BPE.
fn check_parts(tokenizer: &tokenizers::Tokenizer) -> Result<(), TokenizerError> {
    let require = |holds: bool, part, expected| {
        if holds { Ok(()) } else { Err(TokenizerError::Unsupported { part, expected }) }
    };
    let added = tokenizer.get_added_tokens_decoder();
    let strips = |token: &AddedToken| token.lstrip || token.rstrip;
    let pre_tokenizer = match tokenizer.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::ByteLevel(rule)) => rule.use_regex && !rule.add_prefix_space,
        _ => false,
    };
    let post_processor = matches!(tokenizer.get_post_processor(), None | Some(PostProcessorWrapper::ByteLevel(_)));
    let decoder = matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
    require(tokenizer.get_normalizer().is_none(), "normalizer", "null")?;
    require(tokenizer.get_truncation().is_none(), "truncation", FOR_TRAINING)?;
    require(tokenizer.get_padding().is_none(), "padding", FOR_TRAINING)?;
    require(pre_tokenizer, "pre_tokenizer", "`ByteLevel` with `use_regex` true and `add_prefix_space` false")?;
    require(post_processor, "post_processor", "`ByteLevel` or null")?;
    require(decoder, "decoder", "`ByteLevel`")?;
    require(!added.values().any(strips), "added_tokens", "without `lstrip` and `rstrip`")?;
    match tokenizer.get_model() {
        ModelWrapper::BPE(model) => require(is_plain(model), "model", "`BPE` without options that change merges"),
        _ => require(false, "model", "`BPE`"),
    }
}

/// Whether the model merges by rank and does nothing else. An unknown token does no harm, as every
/// byte has a token of its own.
fn is_plain(model: &BPE) -> bool {
    model.dropout.is_none()
        && model.continuing_subword_prefix.as_deref().unwrap_or_default().is_empty()
        && model.end_of_word_suffix.as_deref().unwrap_or_default().is_empty()
        && !model.byte_fallback
        && !model.ignore_merges
}

/// Every byte needs a token: BPE without an unknown token drops what it does not know.
fn check_bytes(tokenizer: &tokenizers::Tokenizer) -> Result<(), TokenizerError> {
    let model = tokenizer.get_model();
    let missing = |&byte: &u8| model.token_to_id(&byte_level::character(byte).to_string()).is_none();
    match (0..=u8::MAX).find(missing) {
        Some(byte) => Err(TokenizerError::MissingByte { byte }),
        None => Ok(()),
    }
}
