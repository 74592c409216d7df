//! Prompts of a known number of tokens: rows of words each of which is one token, as
//! `bench/carafe_bench/prompts.py` makes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// How a byte-level vocabulary writes a space.
const SPACE: char = 'Ġ';

/// The words of a vocabulary, by their token.
pub(crate) struct Words(Vec<(u32, String)>);

#[derive(Deserialize)]
struct TokenizerFile {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: BTreeMap<String, u32>,
}

impl Words {
    /// Reads them from a `tokenizer.json`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let file = fs::read(path).with_context(|| format!("failed to read `{name}`"))?;
        let file: TokenizerFile =
            serde_json::from_slice(&file).with_context(|| format!("`{name}` is no byte-level tokenizer"))?;
        let mut words: Vec<(u32, String)> =
            file.model.vocab.into_iter().filter_map(|(text, token)| Some((token, word(&text)?.to_owned()))).collect();
        ensure!(!words.is_empty(), "`{name}` has no words of three letters and more");
        words.sort_unstable();
        Ok(Self(words))
    }

    /// The tokens of a prompt; the same for the same seed.
    pub(crate) fn prompt(&self, length: u64, seed: u64) -> Vec<u32> {
        self.choose(length, seed).map(|(token, _)| *token).collect()
    }

    /// The same prompt as text.
    pub(crate) fn text(&self, length: u64, seed: u64) -> String {
        self.choose(length, seed).map(|(_, word)| format!(" {word}")).collect()
    }

    /// A text of so many bytes.
    pub(crate) fn text_of_bytes(&self, bytes: usize, seed: u64) -> String {
        // A word has at least three letters and a space.
        let mut text = self.text((bytes / 4 + 1) as u64, seed);
        text.truncate(bytes);
        text
    }

    fn choose(&self, length: u64, seed: u64) -> impl Iterator<Item = &(u32, String)> {
        let mut state = seed.wrapping_mul(2).wrapping_add(12_345);
        (0..length).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            &self.0[((state >> 33) % self.0.len() as u64) as usize]
        })
    }
}

/// The word that a token is, without its space.
fn word(token: &str) -> Option<&str> {
    let word = token.strip_prefix(SPACE)?;
    (word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_words_of_one_token_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        fs::write(&file, r#"{"model":{"vocab":{"Ġthe":1,"Ġcat":2,"Ġan":3,"the":4,"ĠThe":5,"Ġhouse":6}}}"#)
            .expect("written");
        let words = Words::read(&file).expect("words");
        let prompt = words.prompt(50, 3);
        assert_eq!(prompt.len(), 50);
        assert!(prompt.iter().all(|token| [1, 2, 6].contains(token)));
        assert_eq!(words.text(50, 3).split_whitespace().count(), 50);
        assert_ne!(prompt, words.prompt(50, 4));
        assert_eq!(words.text_of_bytes(1001, 3).len(), 1001);
    }
}
