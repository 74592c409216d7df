//! Log-probabilities in the form of OpenAI's completions API: parallel lists, tokens by their text.

use std::collections::HashSet;

use carafe_host::text::TokenLogprobs;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::openai::token_text;
use crate::service::Token;

/// What a token's spelling begins with where its text does not tell which one it is, before its id;
/// as vLLM spells it.
const BY_ID: &str = "token_id:";

/// The log-probabilities of a text's tokens; all lists have one entry for each token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    /// Each token's text; one that is not whole UTF-8 is spelled `bytes:\xf0\x9f`.
    tokens: Vec<String>,
    /// Natural logarithms of the model's own probabilities, at least -9999; null for the first
    /// token of an echoed prompt.
    token_logprobs: Vec<Option<f32>>,
    /// The most probable tokens, best first, and the token itself where it is not one of them; null
    /// as above. Of tokens with the same text the others are spelled `token_id:42`.
    #[schema(value_type = Vec<Option<std::collections::HashMap<String, f32>>>)]
    top_logprobs: Vec<Option<TopLogprobs>>,
    /// Which character of the text each token begins in, counted from 0.
    text_offset: Vec<usize>,
}

/// Tokens with their log-probabilities, best first: a JSON object in that order.
#[derive(Clone, Debug, PartialEq)]
struct TopLogprobs(Vec<(String, f32)>);

impl TopLogprobs {
    /// The best tokens and the chosen one. No two have the same spelling, and the chosen one has
    /// that of `tokens`.
    fn new(id: u32, name: &str, logprobs: &TokenLogprobs) -> Self {
        let mut taken = HashSet::from([name.to_owned()]);
        let mut name_of = |other: u32, bytes: &[u8]| {
            if other == id {
                return name.to_owned();
            }
            let spelling = spelling(other, bytes);
            if taken.insert(spelling.clone()) { spelling } else { format!("{BY_ID}{other}") }
        };
        let top = logprobs.top.iter().map(|token| (name_of(token.id, &token.bytes), token.logprob));
        let mut entries: Vec<(String, f32)> = top.collect();
        if logprobs.top.iter().all(|token| token.id != id) {
            // What is not among the best is behind them.
            entries.push((name.to_owned(), logprobs.chosen));
        }
        Self(entries)
    }
}

impl Serialize for TopLogprobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(token, logprob)| (token, logprob)))
    }
}

impl Logprobs {
    /// Those of a text's tokens.
    pub(super) fn of(tokens: &[Token]) -> Self {
        let mut logprobs = Self::default();
        tokens.iter().for_each(|token| logprobs.push(token));
        logprobs
    }

    fn push(&mut self, token: &Token) {
        let name = spelling(token.id, &token.bytes);
        let logprobs = token.logprobs.as_ref();
        self.token_logprobs.push(logprobs.map(|logprobs| logprobs.chosen));
        self.top_logprobs.push(logprobs.map(|logprobs| TopLogprobs::new(token.id, &name, logprobs)));
        self.tokens.push(name);
        self.text_offset.push(token.text_offset);
    }
}

/// A token's text; its id where the text would be taken for one.
fn spelling(id: u32, bytes: &[u8]) -> String {
    let text = token_text(bytes);
    if text.starts_with(BY_ID) { format!("{BY_ID}{id}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_host::text::TokenLogprob;

    /// What `logprobs` is for a chosen token among these best ones, as JSON.
    fn json(id: u32, bytes: &[u8], top: &[(u32, &[u8], f32)]) -> String {
        let top = top.iter().map(|&(id, bytes, logprob)| TokenLogprob { id, bytes: bytes.to_vec(), logprob });
        let logprobs = TokenLogprobs { chosen: -3.0, top: top.collect() };
        let token = Token { id, bytes: bytes.to_vec(), text_offset: 0, logprobs: Some(logprobs) };
        serde_json::to_string(&Logprobs::of(&[token]).top_logprobs).expect("JSON")
    }

    #[test]
    fn the_chosen_token_is_among_the_best_or_behind_them() {
        assert_eq!(json(2, b"a", &[(7, b"b", -0.5), (2, b"a", -3.0)]), r#"[{"b":-0.5,"a":-3.0}]"#);
        assert_eq!(json(3, b"c", &[(7, b"b", -0.5), (2, b"a", -1.0)]), r#"[{"b":-0.5,"a":-1.0,"c":-3.0}]"#);
        assert_eq!(json(3, b"c", &[]), r#"[{"c":-3.0}]"#);
    }

    #[test]
    fn tokens_with_the_same_text_stay_apart_and_the_chosen_one_keeps_its_text() {
        let [special, ordinary] = [(0, &b"<end>"[..], -0.5), (9, &b"<end>"[..], -3.0)];
        assert_eq!(json(9, b"<end>", &[special, ordinary]), r#"[{"token_id:0":-0.5,"<end>":-3.0}]"#);
        assert_eq!(json(0, b"<end>", &[ordinary]), r#"[{"token_id:9":-3.0,"<end>":-3.0}]"#);
        assert_eq!(json(5, b"a", &[special, ordinary]), r#"[{"<end>":-0.5,"token_id:9":-3.0,"a":-3.0}]"#);
        let spelled = [(4, &b"bytes:\\xff"[..], -1.0), (5, &[0xFF][..], -2.0), (6, &b"token_id:5"[..], -2.5)];
        assert_eq!(json(1, b"a", &spelled), r#"[{"bytes:\\xff":-1.0,"token_id:5":-2.0,"token_id:6":-2.5,"a":-3.0}]"#);
    }

    #[test]
    fn tokens_of_half_a_character_are_spelled_as_bytes() {
        let token = |bytes: &[u8]| Token { id: 1, bytes: bytes.to_vec(), text_offset: 0, logprobs: None };
        let logprobs = Logprobs::of(&[&b"a"[..], &[0xF0, 0x9F], &[0x91, 0x8B], b"b"].map(token));
        assert_eq!(logprobs.tokens, ["a", "bytes:\\xf0\\x9f", "bytes:\\x91\\x8b", "b"]);
        assert_eq!(logprobs.token_logprobs, [None; 4]);
    }
}
