//! Prompts of a known number of tokens: rows of words each of which is one token, as
//! `bench/carafe_bench/prompts.py` makes them. A prompt can be sent as tokens or as text, and
//! prompts are joined to longer ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// How a byte-level vocabulary writes a space.
const SPACE: char = 'Ġ';

/// A token and the word that it is.
pub(crate) type Word = (u32, String);

/// A row of words.
pub(crate) type Prompt<'a> = Vec<&'a Word>;

/// The words of a vocabulary, by their token.
pub(crate) struct Words(Vec<Word>);

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
        let mut words: Vec<Word> =
            file.model.vocab.into_iter().filter_map(|(text, token)| Some((token, word(&text)?.to_owned()))).collect();
        ensure!(!words.is_empty(), "`{name}` has no words of three letters and more");
        words.sort_unstable();
        Ok(Self(words))
    }

    /// A prompt; the same for the same length and seed. Prompts of different lengths differ from
    /// their first words on, so that no cache finds a short one in a long one.
    pub(crate) fn prompt(&self, length: u64, seed: u64) -> Prompt<'_> {
        let mut state = seed.wrapping_add(length << 32).wrapping_mul(2).wrapping_add(12_345);
        let choose = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            &self.0[((state >> 33) % self.0.len() as u64) as usize]
        };
        (0..length).map(choose).collect()
    }

    /// A text of so many bytes.
    pub(crate) fn text_of_bytes(&self, bytes: usize, seed: u64) -> String {
        // A word has at least three letters and a space.
        let mut text = text(&self.prompt((bytes / 4 + 1) as u64, seed));
        text.truncate(bytes);
        text
    }
}

/// The token ids of a prompt.
pub(crate) fn tokens(prompt: &[&Word]) -> Value {
    json!(prompt.iter().map(|(token, _)| token).collect::<Vec<_>>())
}

/// The same prompt as text; every word has a space before it.
pub(crate) fn text(prompt: &[&Word]) -> String {
    prompt.iter().map(|(_, word)| format!(" {word}")).collect()
}

/// The word that a token is, without its space.
fn word(token: &str) -> Option<&str> {
    let word = token.strip_prefix(SPACE)?;
    (word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(word)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The words that `bench/tests/test_arrivals.py` has as well.
    pub(crate) fn few() -> Words {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        fs::write(&file, r#"{"model":{"vocab":{"Ġthe":1,"Ġcat":2,"Ġan":3,"the":4,"ĠThe":5,"Ġhouse":6}}}"#)
            .expect("written");
        Words::read(&file).expect("words")
    }

    #[test]
    fn prompts_are_words_of_one_token_each() {
        let words = few();
        let prompt = words.prompt(50, 3);
        assert_eq!(prompt.len(), 50);
        assert!(prompt.iter().all(|(token, _)| [1, 2, 6].contains(token)));
        assert_eq!(text(&prompt).split_whitespace().count(), 50);
        assert_ne!(prompt, words.prompt(50, 4));
        assert_eq!(words.text_of_bytes(1001, 3).len(), 1001);
    }

    #[test]
    fn a_prompt_is_the_one_of_the_python_side() {
        // bench/tests/test_arrivals.py has the same numbers.
        assert_eq!(tokens(&few().prompt(8, 3)), json!([2, 6, 6, 2, 6, 1, 2, 6]));
    }

    #[test]
    fn a_longer_prompt_does_not_begin_with_a_shorter_one() {
        let words = few();
        assert_ne!(words.prompt(64, 3), words.prompt(128, 3)[..64]);
    }
}
