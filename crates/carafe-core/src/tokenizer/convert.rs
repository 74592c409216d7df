//! From `tokenizer.json` to the compact form.
//!
//! This takes seconds of time and hundreds of megabytes for the largest vocabularies, and so is
//! done once, by the host, from a file that is trusted; every guest only copies the tables. What
//! would lead to other tokens than the file's makers meant is refused here, by the name of its key.

use std::collections::BTreeMap;

use serde_json::Value;
use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper};

use super::{
    AddedToken, Header, Tokenizer, TokenizerError,
    bpe::Bpe,
    compact::Writer,
    file::{File, MergeFile, ModelFile, VocabularyFile},
    model::{Model, ModelKind, ModelOptions},
    read_part,
    unigram::Unigram,
    vocabulary::{Vocabulary, check_id},
    wordpiece::WordPiece,
};

const FOR_TRAINING: &str =
    "null, for no text is cut or filled here; `convert` drops it, in a file of your own set it to null";

/// The compact form of a Hugging Face `tokenizer.json`, which [`Tokenizer::open`] reads.
///
/// # Errors
/// [`TokenizerError::Unreadable`] if it is none, others by what it holds.
pub fn compact_form(json: &[u8]) -> Result<Vec<u8>, TokenizerError> {
    let File { truncation, padding, added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } =
        serde_json::from_slice(json).map_err(TokenizerError::Unreadable)?;
    for (part, value) in [("truncation", truncation), ("padding", padding)] {
        if value.is_some() {
            return Err(TokenizerError::unsupported(part, FOR_TRAINING));
        }
    }
    let options = model.options()?;
    let model = new_model(options.clone(), model)?;
    let added_tokens = with_ids(added_tokens, &model.vocabulary)?;
    let (prefix, suffix) = surroundings(post_processor.as_ref())?;
    let parts = Header { options, normalizer, pre_tokenizer, decoder, added_tokens, prefix, suffix, longest_token: 0 };
    let mut tokenizer = Tokenizer::from_parts(parts, model)?;
    tokenizer.header.longest_token = longest_token(&tokenizer);
    let mut writer = Writer::new();
    writer.table(&serde_json::to_vec(&tokenizer.header).map_err(TokenizerError::Unreadable)?);
    tokenizer.model.write(&mut writer);
    Ok(writer.finish())
}

fn new_model(options: ModelOptions, file: ModelFile) -> Result<Model, TokenizerError> {
    let (vocabulary, kind) = match (options, file.vocab) {
        (ModelOptions::Unigram(options), VocabularyFile::Scores(tokens)) => {
            let (texts, scores): (Vec<String>, Vec<f64>) = tokens.into_iter().unzip();
            let vocabulary = Vocabulary::new(&texts.into_iter().zip(0..).collect::<Vec<_>>())?;
            let unigram = Unigram::new(options, scores, &vocabulary)?;
            (vocabulary, ModelKind::Unigram(unigram))
        }
        (ModelOptions::Bpe(options), VocabularyFile::Ids(tokens)) => {
            let vocabulary = Vocabulary::new(&tokens)?;
            let prefix = options.continuing_subword_prefix.as_deref().unwrap_or_default();
            let merges = merges(file.merges.as_deref().unwrap_or_default(), prefix, &vocabulary)?;
            let bpe = Bpe::new(options, &merges, &vocabulary);
            (vocabulary, ModelKind::Bpe(bpe))
        }
        (ModelOptions::WordPiece(options), VocabularyFile::Ids(tokens)) => {
            (Vocabulary::new(&tokens)?, ModelKind::WordPiece(WordPiece::new(options)))
        }
        (_, VocabularyFile::Ids(_)) => {
            return Err(TokenizerError::unsupported("model.vocab", "an array of tokens with their scores"));
        }
        (_, VocabularyFile::Scores(_)) => {
            return Err(TokenizerError::unsupported("model.vocab", "an object of tokens with their ids"));
        }
    };
    Ok(Model::new(vocabulary, kind))
}

/// The ids of both parts of every merge, and of what it makes: the second goes on where the first
/// ends, without the prefix that says so.
fn merges(merges: &[MergeFile], prefix: &str, vocabulary: &Vocabulary) -> Result<Vec<[u32; 3]>, TokenizerError> {
    let ids = |(number, MergeFile(first, second)): (usize, &MergeFile)| {
        let made = format!("{first}{}", second.get(prefix.len()..).unwrap_or_default());
        let id = |token: &str| {
            let missing = || TokenizerError::Merge { number, token: token.to_owned() };
            vocabulary.id(token.as_bytes()).ok_or_else(missing)
        };
        Ok([id(first)?, id(second)?, id(&made)?])
    };
    merges.iter().enumerate().map(ids).collect()
}

/// The added tokens with the ids that count, which are the vocabulary's where it has them too. Of
/// two with the same text the latter counts.
fn with_ids(tokens: Vec<AddedToken>, vocabulary: &Vocabulary) -> Result<Vec<AddedToken>, TokenizerError> {
    let mut by_text = BTreeMap::new();
    for token in tokens.into_iter().filter(|token| !token.content.is_empty()) {
        let id = vocabulary.id(token.content.as_bytes()).unwrap_or(token.id);
        by_text.insert(token.content.clone(), AddedToken { id, ..token });
    }
    let mut by_id = BTreeMap::new();
    for token in by_text.into_values() {
        let (id, second) = (token.id, token.content.clone());
        check_id(&second, id)?;
        let known = vocabulary.text(id).filter(|text| *text != second).map(str::to_owned);
        let other = by_id.insert(id, token).map(|other: AddedToken| other.content);
        if let Some(first) = known.or(other) {
            return Err(TokenizerError::IdTwice { id, first, second });
        }
    }
    Ok(by_id.into_values().collect())
}

/// The tokens that the post-processor puts before and after those of a text: what it makes of a
/// single one.
fn surroundings(post_processor: Option<&Value>) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
    const PART: &str = "post_processor";
    const TEXT: u32 = u32::MAX;
    let Some(post_processor) = read_part::<PostProcessorWrapper>(PART, post_processor)? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let text: Encoding = [(TEXT, String::new(), (0, 0), None, 0)].into_iter().collect();
    let processed = post_processor.process(text, None, true);
    let processed = processed.map_err(|source| TokenizerError::Part { part: PART, source })?;
    let mut parts = processed.get_ids().split(|&id| id == TEXT);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(prefix), Some(suffix), None) => Ok((prefix.to_vec(), suffix.to_vec())),
        _ => Err(TokenizerError::unsupported(PART, "one that keeps the tokens of a text once")),
    }
}

/// The most bytes of a text that one token stands for; 0 where there is no such number, as white
/// space may be dropped, or any number of characters be unknown together.
fn longest_token(tokenizer: &Tokenizer) -> usize {
    let Header { normalizer, pre_tokenizer, added_tokens, .. } = &tokenizer.header;
    let keeps_text = tokenizer.model.is_lossless()
        && pre_tokenizer.as_ref().is_none_or(keeps_text)
        && !added_tokens.iter().any(|token| token.lstrip || token.rstrip);
    let Some(shrinks) = normalizer.as_ref().map_or(Some(1), shrinks).filter(|_| keeps_text) else { return 0 };
    let longest = |id| {
        // A token's text, or the bytes that its characters stand for: whichever a text is cut into.
        let text = if tokenizer.decoder.is_byte_level() { None } else { tokenizer.text(id).map(str::len) };
        text.or_else(|| Some(tokenizer.token_bytes(id)?.len())).unwrap_or_default()
    };
    let longest = (0..tokenizer.vocabulary_size()).map(longest).max().unwrap_or_default();
    longest.max(char::MAX.len_utf8()) * shrinks
}

/// Whether a pre-tokenizer only cuts.
fn keeps_text(pre_tokenizer: &Value) -> bool {
    match pre_tokenizer["type"].as_str() {
        Some("ByteLevel" | "Metaspace" | "Digits") => true,
        Some("Split" | "Punctuation") => pre_tokenizer["behavior"] != "Removed",
        Some("Sequence") => pre_tokenizer["pretokenizers"].as_array().is_some_and(|parts| parts.iter().all(keeps_text)),
        _ => false,
    }
}

/// How many times shorter, in bytes, a normalizer makes a text at most; none if there is no such
/// number.
fn shrinks(normalizer: &Value) -> Option<usize> {
    match normalizer["type"].as_str()? {
        // Three jamo of three bytes are one syllable of three bytes; nothing composes to less.
        "NFC" => Some(3),
        "Prepend" => Some(1),
        "Replace" => {
            let (from, to) = (normalizer["pattern"]["String"].as_str()?, normalizer["content"].as_str()?);
            (to.len() >= from.len()).then_some(1)
        }
        "Sequence" => normalizer["normalizers"].as_array()?.iter().map(shrinks).product(),
        _ => None,
    }
}
