//! A Hugging Face `tokenizer.json` as it is read: its own words, and vocabularies of either form.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    AddedToken, TokenizerError, bpe::BpeOptions, model::ModelOptions, unigram::UnigramOptions,
    wordpiece::WordPieceOptions,
};

/// The file. Parts that only the library reads stay JSON.
#[derive(Deserialize)]
pub(super) struct File {
    pub(super) truncation: Option<Value>,
    pub(super) padding: Option<Value>,
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Option<Value>,
    pub(super) pre_tokenizer: Option<Value>,
    pub(super) post_processor: Option<Value>,
    pub(super) decoder: Option<Value>,
    pub(super) model: ModelFile,
}

/// The key `model`, with the options of all kinds.
#[derive(Deserialize)]
pub(super) struct ModelFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    pub(super) vocab: VocabularyFile,
    pub(super) merges: Option<Vec<MergeFile>>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    unk_id: Option<u32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    max_input_chars_per_word: Option<usize>,
}

impl ModelFile {
    /// The kind of the model, which old files do not name, and its options.
    pub(super) fn options(&self) -> Result<ModelOptions, TokenizerError> {
        if self.dropout.is_some_and(|dropout| dropout != 0.0) {
            return Err(TokenizerError::unsupported(
                "model.dropout",
                "null, for a text has the same tokens every time",
            ));
        }
        let guess = match (&self.vocab, &self.merges) {
            (_, Some(_)) => "BPE",
            (VocabularyFile::Scores(_), None) => "Unigram",
            (VocabularyFile::Ids(_), None) => "WordPiece",
        };
        match self.kind.as_deref().unwrap_or(guess) {
            "BPE" => Ok(ModelOptions::Bpe(self.bpe())),
            "Unigram" => Ok(ModelOptions::Unigram(self.unigram())),
            "WordPiece" => Ok(ModelOptions::WordPiece(self.wordpiece())),
            other => Err(TokenizerError::unsupported(
                "model.type",
                format!("`BPE`, `Unigram` or `WordPiece`, not `{other}`"),
            )),
        }
    }

    fn bpe(&self) -> BpeOptions {
        BpeOptions {
            unk_token: self.unk_token.clone(),
            continuing_subword_prefix: self.continuing_subword_prefix.clone(),
            end_of_word_suffix: self.end_of_word_suffix.clone(),
            fuse_unk: self.fuse_unk,
            byte_fallback: self.byte_fallback,
            ignore_merges: self.ignore_merges,
        }
    }

    fn unigram(&self) -> UnigramOptions {
        UnigramOptions { unk_id: self.unk_id, byte_fallback: self.byte_fallback }
    }

    /// What is not said is as in BERT.
    fn wordpiece(&self) -> WordPieceOptions {
        WordPieceOptions {
            unk_token: self.unk_token.clone().unwrap_or_else(|| "[UNK]".to_owned()),
            continuing_subword_prefix: self.continuing_subword_prefix.clone().unwrap_or_else(|| "##".to_owned()),
            max_input_chars_per_word: self.max_input_chars_per_word.unwrap_or(100),
        }
    }
}

/// The key `model.vocab`.
pub(super) enum VocabularyFile {
    /// An object: the id of each token.
    Ids(Vec<(String, u32)>),
    /// An array: tokens in the order of their ids, with their scores.
    Scores(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for VocabularyFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabularyVisitor)
    }
}

struct VocabularyVisitor;

impl<'de> Visitor<'de> for VocabularyVisitor {
    type Value = VocabularyFile;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of ids, or an array of tokens with scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VocabularyFile, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = map.next_entry()? {
            tokens.push(token);
        }
        Ok(VocabularyFile::Ids(tokens))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<VocabularyFile, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = list.next_element()? {
            tokens.push(token);
        }
        Ok(VocabularyFile::Scores(tokens))
    }
}

/// An entry of `model.merges`: two tokens.
pub(super) struct MergeFile(pub(super) String, pub(super) String);

impl<'de> Deserialize<'de> for MergeFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;

impl<'de> Visitor<'de> for MergeVisitor {
    type Value = MergeFile;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of two tokens, or both with a space between")
    }

    fn visit_str<E: Error>(self, merge: &str) -> Result<MergeFile, E> {
        match merge.split_once(' ').filter(|(_, second)| !second.contains(' ')) {
            Some((first, second)) => Ok(MergeFile(first.to_owned(), second.to_owned())),
            None => Err(E::custom(format!("the merge `{merge}` must be two tokens with one space between"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MergeFile, A::Error> {
        let pair = list.next_element()?.zip(list.next_element()?);
        let is_pair = list.next_element::<Value>()?.is_none();
        let (first, second) = pair.filter(|_| is_pair).ok_or_else(|| A::Error::custom("a merge must be two tokens"))?;
        Ok(MergeFile(first, second))
    }
}
