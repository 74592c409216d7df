//! Text to tokens and back: every kind of Hugging Face `tokenizer.json` that language models use.
//!
//! A text goes through these parts: added tokens are found in it (`added`), the library's
//! normalizers and pre-tokenizers make words of what is between, and the model makes tokens of each
//! word (`bpe`, `unigram` or `wordpiece`, over a `vocabulary`). Back, the `decoder` gives each
//! token its text, and a [`TextStream`] joins them.
//!
//! The library's own models are hash tables of strings, which take seconds to fill. So the host
//! makes a compact form of the file once ([`compact_form`]), of flat tables that a guest only has
//! to copy ([`Tokenizer::open`]): there is no other way to a tokenizer.
//!
//! Who encodes says which added tokens may come about. By default a special token in a text is
//! text: `<|endoftext|>` typed by a user is spelled out in ordinary tokens and never acts as
//! control.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    PreTokenizerWrapper, Token, normalizer::Range as TextRange,
};

mod added;
mod bpe;
mod byte_level;
mod compact;
mod convert;
mod decoder;
mod error;
mod file;
mod model;
mod pieces;
mod prefix_tree;
mod stream;
mod unigram;
mod utf8;
mod vocabulary;
mod wordpiece;

pub use added::{AddedToken, ControlTokens};
pub use convert::compact_form;
pub use error::TokenizerError;
pub use pieces::Piece;
pub use stream::{StreamedText, TextStream};

use added::{AddedTokens, Part};
use bpe::BpeBuffers;
use byte_level::letter;
use compact::Reader;
use decoder::{Decoder, TokenText};
use model::{Model, ModelOptions};

/// The longest text that is encoded, in bytes. On a run of a million spaces the pre-tokenizer's
/// regular expression would give up and tell nobody, so that all that follows became one word; and
/// encoding takes time, of which a guest has little.
pub const MAX_TEXT_BYTES: usize = 500_000;

/// What to make of a text besides the tokens of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Whether to add what the post-processor adds to a text, such as a BOS token.
    pub add_special_tokens: bool,
    /// Whether special tokens that the text spells out become those tokens; otherwise they are
    /// ordinary text.
    pub parse_special: bool,
}

impl Default for EncodeOptions {
    /// A text as a user types it.
    fn default() -> Self {
        Self { add_special_tokens: true, parse_special: false }
    }
}

/// A tokenizer.
pub struct Tokenizer {
    header: Header,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    added: AddedTokens,
    model: Model,
    decoder: Decoder,
}

/// What of a tokenizer is no table; the first part of the compact form, as JSON.
#[derive(Deserialize, Serialize)]
struct Header {
    options: ModelOptions,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    decoder: Option<Value>,
    added_tokens: Vec<AddedToken>,
    /// What the post-processor adds before a text.
    prefix: Vec<u32>,
    /// What it adds after.
    suffix: Vec<u32>,
    /// The most bytes of a text that one token stands for; 0 where there is no such number.
    longest_token: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokenizer").field("vocabulary_size", &self.vocabulary_size()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the [`compact_form`] of a tokenizer.
    ///
    /// # Errors
    /// [`TokenizerError::Compact`] and others if it is none.
    pub fn open(form: &[u8]) -> Result<Self, TokenizerError> {
        let mut reader = Reader::new(form)?;
        let header: Header = serde_json::from_slice(reader.bytes()?).map_err(TokenizerError::Unreadable)?;
        let model = Model::read(header.options.clone(), &mut reader)?;
        reader.finish()?;
        Self::from_parts(header, model)
    }

    fn from_parts(header: Header, model: Model) -> Result<Self, TokenizerError> {
        let normalizer = read_part("normalizer", header.normalizer.as_ref())?;
        let added = AddedTokens::new(header.added_tokens.clone(), normalizer.as_ref())?;
        Ok(Self {
            pre_tokenizer: read_part("pre_tokenizer", header.pre_tokenizer.as_ref())?,
            decoder: Decoder::new(header.decoder.as_ref())?,
            header,
            normalizer,
            added,
            model,
        })
    }

    /// What ids are below; some below it may have no token, see [`Tokenizer::has_token`].
    pub fn vocabulary_size(&self) -> u32 {
        let added = self.added.all().last().map_or(0, |token| token.id + 1);
        self.model.vocabulary.size().max(added)
    }

    /// Whether there is a token with this id.
    pub fn has_token(&self, id: u32) -> bool {
        self.text(id).is_some()
    }

    /// The tokens that are found in a text as they are, ascending by id.
    pub fn added_tokens(&self) -> &[AddedToken] {
        self.added.all()
    }

    /// Whether a token is special: one that controls, and is no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.added.get(id).is_some_and(|token| token.special)
    }

    /// How many tokens a text of this many bytes has at least, whatever it says.
    pub fn least_tokens(&self, bytes: usize) -> usize {
        match self.header.longest_token {
            0 => 0,
            longest => bytes.div_ceil(longest),
        }
    }

    /// The bytes that token `id` stands for, after others: often no whole characters. None where
    /// there is no such token.
    pub fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        Some(match self.token_text(id, false)? {
            TokenText::Bytes(bytes) => bytes,
            TokenText::Text(text) => text.into_bytes(),
            TokenText::Byte(byte) => vec![byte],
        })
    }

    /// The text of the tokens, special ones included; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`TokenizerError::UnknownToken`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let (mut stream, mut text) = (TextStream::new(), String::new());
        for &id in ids {
            if !self.has_token(id) {
                return Err(TokenizerError::UnknownToken { id, size: self.vocabulary_size() });
            }
            text.push_str(&stream.push(id, self).text);
        }
        text.push_str(&stream.finish(self));
        Ok(text)
    }

    /// The tokens of `text`, at most [`MAX_TEXT_BYTES`] long.
    ///
    /// # Errors
    /// [`TokenizerError::TextTooLong`], [`TokenizerError::NoToken`], [`TokenizerError::Encode`].
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, TokenizerError> {
        check_length(text)?;
        let may_be = |token: &AddedToken| options.parse_special || !token.special;
        let parts = self.added.find_verbatim(text, 0..text.len(), may_be);
        let mut ids = if options.add_special_tokens { self.header.prefix.clone() } else { Vec::new() };
        self.encode_parts(text, parts, may_be, &mut ids)?;
        if options.add_special_tokens {
            ids.extend_from_slice(&self.header.suffix);
        }
        Ok(ids)
    }

    /// Appends the tokens of a text whose verbatim added tokens were found.
    fn encode_parts(
        &self,
        text: &str,
        parts: Vec<Part>,
        may_be: impl Fn(&AddedToken) -> bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        let forbidden = self.forbidden(&may_be);
        let words = self.words(text, parts, may_be).map_err(TokenizerError::Encode)?;
        let mut buffers = BpeBuffers::default();
        for (word, _, tokens) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            match tokens {
                Some(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
                None => {
                    let tokenized = self.model.tokenize(word, &forbidden, &mut buffers, ids);
                    tokenized.map_err(|error| self.in_characters(error, text))?;
                }
            }
        }
        Ok(())
    }

    /// The error with a character of the text, where the model only saw a letter for one of its
    /// bytes.
    fn in_characters(&self, error: TokenizerError, text: &str) -> TokenizerError {
        let has_letter = |letter: char| self.model.vocabulary.id(letter.encode_utf8(&mut [0; 4]).as_bytes()).is_some();
        let is_missing = |c: &char| !c.encode_utf8(&mut [0; 4]).bytes().all(|byte| has_letter(letter(byte)));
        match error {
            TokenizerError::NoToken { text: part } if self.decoder.is_byte_level() => {
                TokenizerError::NoToken { text: text.chars().find(is_missing).map_or(part, String::from) }
            }
            error => error,
        }
    }

    /// The added tokens that the model's vocabulary holds too and that may not come about,
    /// ascending. The token for what is unknown may: it stands for no text of its own.
    fn forbidden(&self, may_be: impl Fn(&AddedToken) -> bool) -> Vec<u32> {
        let unknown = self.model.unknown();
        let in_vocabulary = |token: &&AddedToken| self.model.vocabulary.text(token.id).is_some();
        let tokens = self.added_tokens().iter().filter(|token| !may_be(token) && Some(token.id) != unknown);
        tokens.filter(in_vocabulary).map(|token| token.id).collect()
    }

    /// The words of a text, and the added tokens between them.
    fn words(
        &self,
        text: &str,
        parts: Vec<Part>,
        may_be: impl Fn(&AddedToken) -> bool,
    ) -> tokenizers::Result<PreTokenizedString> {
        let mut words = PreTokenizedString::from(text);
        words.split(|_, text| split_at(text, &parts))?;
        words.split(|_, mut text| {
            if let Some(normalizer) = &self.normalizer {
                normalizer.normalize(&mut text)?;
            }
            let parts = self.added.find_normalized(text.get(), &may_be);
            split_at(text, &parts)
        })?;
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        Ok(words)
    }

    /// The text of a token as the file writes it.
    fn text(&self, id: u32) -> Option<&str> {
        self.added.get(id).map(|token| token.content.as_str()).or_else(|| self.model.vocabulary.text(id))
    }

    fn token_text(&self, id: u32, is_first: bool) -> Option<TokenText> {
        let is_added = self.added.get(id).is_some();
        Some(self.decoder.token_text(self.text(id)?, is_added, is_first))
    }
}

fn check_length(text: &str) -> Result<(), TokenizerError> {
    if text.len() > MAX_TEXT_BYTES { Err(TokenizerError::TextTooLong { bytes: text.len() }) } else { Ok(()) }
}

/// The parts of a text, as the library has them.
fn split_at(text: NormalizedString, parts: &[Part]) -> tokenizers::Result<Vec<(NormalizedString, Option<Vec<Token>>)>> {
    let split = |(range, id): &Part| {
        let part = text.slice(TextRange::Normalized(range.clone())).ok_or("a part of a text is out of it")?;
        Ok((part, id.map(|id| vec![Token::new(id, String::new(), (0, 0))])))
    };
    match parts {
        // The most common case, without a copy.
        [(range, None)] if *range == (0..text.len()) => Ok(vec![(text, None)]),
        _ => parts.iter().map(split).collect(),
    }
}

/// A part of the file that the library reads.
fn read_part<T: DeserializeOwned>(part: &'static str, json: Option<&Value>) -> Result<Option<T>, TokenizerError> {
    let read = json.map(|json| serde_json::from_value(json.clone())).transpose();
    read.map_err(|error| TokenizerError::Part { part, source: error.into() })
}
