//! Log-probabilities in the form of OpenAI's completions API: parallel lists, tokens by their text.

use carafe_host::text::TokenLogprobs;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The log-probabilities of a text's tokens; all lists have one entry for each token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    /// Each token's text; one that is not whole UTF-8 is spelled `bytes:\xf0\x9f`.
    tokens: Vec<String>,
    /// Natural logarithms of the model's own probabilities; null for the first token of an echoed prompt.
    token_logprobs: Vec<Option<f32>>,
    /// The most probable tokens, best first; null as above.
    #[schema(value_type = Vec<Option<std::collections::HashMap<String, f32>>>)]
    top_logprobs: Vec<Option<TopLogprobs>>,
    /// Where in the text each token begins, in characters.
    text_offset: Vec<usize>,
}

/// Tokens with their log-probabilities, best first: a JSON object in that order.
#[derive(Clone, Debug, PartialEq)]
struct TopLogprobs(Vec<(String, f32)>);

impl Serialize for TopLogprobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(token, logprob)| (token, logprob)))
    }
}

impl Logprobs {
    /// Appends a later part of the same text.
    pub(crate) fn extend(&mut self, other: Self) {
        self.tokens.extend(other.tokens);
        self.token_logprobs.extend(other.token_logprobs);
        self.top_logprobs.extend(other.top_logprobs);
        self.text_offset.extend(other.text_offset);
    }

    fn push(&mut self, bytes: &[u8], logprobs: Option<&TokenLogprobs>, offset: usize) {
        let top = |logprobs: &TokenLogprobs| {
            let entry = |token: &carafe_host::text::TokenLogprob| (token_text(&token.bytes), token.logprob);
            TopLogprobs(logprobs.top.iter().map(entry).collect())
        };
        self.tokens.push(token_text(bytes));
        self.token_logprobs.push(logprobs.map(|logprobs| logprobs.chosen));
        self.top_logprobs.push(logprobs.map(top));
        self.text_offset.push(offset);
    }
}

/// Counts the characters of a text whose tokens come one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offset(usize);

impl Offset {
    /// The entries of the next tokens: each one's bytes and log-probabilities.
    pub(crate) fn entries<'a>(
        &mut self,
        tokens: impl Iterator<Item = (&'a [u8], Option<&'a TokenLogprobs>)>,
    ) -> Logprobs {
        let mut logprobs = Logprobs::default();
        for (bytes, of_token) in tokens {
            logprobs.push(bytes, of_token, self.0);
            // A character is counted with its first byte: the others are continuation bytes, 10xxxxxx.
            self.0 += bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        }
        logprobs
    }
}

/// A token's text, or its bytes as OpenAI spells them where they are no text.
fn token_text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| format!("{text}\\x{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_half_a_character_are_spelled_as_bytes_and_offsets_count_characters() {
        let pieces: [&[u8]; 4] = [b"a", &[0xF0, 0x9F], &[0x91, 0x8B], b"b"];
        let logprobs = Offset::default().entries(pieces.into_iter().map(|bytes| (bytes, None)));
        assert_eq!(logprobs.tokens, ["a", "bytes:\\xf0\\x9f", "bytes:\\x91\\x8b", "b"]);
        assert_eq!(logprobs.text_offset, [0, 1, 2, 2]);
        assert_eq!(logprobs.token_logprobs, [None; 4]);
    }

    #[test]
    fn alternatives_are_an_object_with_the_best_first() {
        let top = TopLogprobs(vec![("b".to_owned(), -0.5), ("a".to_owned(), -1.0)]);
        assert_eq!(serde_json::to_string(&top).expect("JSON"), r#"{"b":-0.5,"a":-1.0}"#);
    }
}
