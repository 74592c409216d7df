//! A tokenizer's model: what makes tokens of a word, when normalizers and pre-tokenizers have made
//! words of a text.

use serde::{Deserialize, Serialize};

use super::{
    TokenizerError,
    bpe::{Bpe, BpeBuffers, BpeOptions},
    compact::{Reader, Writer},
    unigram::{Unigram, UnigramOptions},
    vocabulary::Vocabulary,
    wordpiece::{WordPiece, WordPieceOptions},
};

/// What kind of model it is, and its options.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "type")]
pub(super) enum ModelOptions {
    #[serde(rename = "BPE")]
    Bpe(BpeOptions),
    Unigram(UnigramOptions),
    WordPiece(WordPieceOptions),
}

/// A model with its vocabulary.
pub(super) struct Model {
    pub(super) vocabulary: Vocabulary,
    kind: ModelKind,
}

/// The algorithms.
pub(super) enum ModelKind {
    Bpe(Bpe),
    Unigram(Unigram),
    WordPiece(WordPiece),
}

impl Model {
    pub(super) fn new(vocabulary: Vocabulary, kind: ModelKind) -> Self {
        Self { vocabulary, kind }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.vocabulary.write(writer);
        match &self.kind {
            ModelKind::Bpe(bpe) => bpe.write(writer),
            ModelKind::Unigram(unigram) => unigram.write(writer),
            ModelKind::WordPiece(_) => {}
        }
    }

    pub(super) fn read(options: ModelOptions, reader: &mut Reader<'_>) -> Result<Self, TokenizerError> {
        let vocabulary = Vocabulary::read(reader)?;
        let kind = match options {
            ModelOptions::Bpe(options) => ModelKind::Bpe(Bpe::read(options, reader, &vocabulary)?),
            ModelOptions::Unigram(options) => ModelKind::Unigram(Unigram::read(options, reader, &vocabulary)?),
            ModelOptions::WordPiece(options) => ModelKind::WordPiece(WordPiece::new(options)),
        };
        Ok(Self { vocabulary, kind })
    }

    /// The token of what has none.
    pub(super) fn unknown(&self) -> Option<u32> {
        match &self.kind {
            ModelKind::Bpe(bpe) => bpe.unknown(),
            ModelKind::Unigram(unigram) => unigram.unknown(),
            ModelKind::WordPiece(wordpiece) => wordpiece.unknown(&self.vocabulary),
        }
    }

    /// Whether every token stands for its own text, or for one character.
    pub(super) fn is_lossless(&self) -> bool {
        matches!(&self.kind, ModelKind::Bpe(bpe) if bpe.is_lossless())
    }

    /// Appends the tokens of a word, none of which is one of `forbidden`, ascending ids:
    /// vocabularies hold special tokens too, and a word may spell one out.
    pub(super) fn tokenize(
        &self,
        word: &str,
        forbidden: &[u32],
        buffers: &mut BpeBuffers,
        tokens: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        match &self.kind {
            ModelKind::Bpe(bpe) => bpe.tokenize(word, &self.vocabulary, forbidden, buffers, tokens),
            ModelKind::Unigram(unigram) => unigram.tokenize(word, &self.vocabulary, forbidden, tokens),
            ModelKind::WordPiece(wordpiece) => wordpiece.tokenize(word, &self.vocabulary, forbidden, tokens),
        }
    }
}
