//! The body of `POST /v1/completions`: OpenAI's fields, and the usual extras of servers that run
//! open models.
//!
//! `openai/reading` makes it of JSON, and judges the fields that have no effect.

use std::fmt;

use carafe_host::text::{Prompt, TextPrompt};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, de};
use utoipa::ToSchema;

use crate::Configuration;
use crate::error::ApiError;
use crate::openai::body::generation_body;
use crate::openai::{Api, Body};
use crate::service::GenerationRequest;

/// Most prompts of one request: no model lets more sequences wait.
const MAX_PROMPTS: usize = Configuration::MAX_QUEUE as usize;

/// Most sequences to choose a prompt's choices from; OpenAI's number.
const MAX_BEST_OF: u32 = 20;

/// Tokens to generate if a request does not say how many; OpenAI's number.
const DEFAULT_MAX_TOKENS: u32 = 16;

generation_body! {
    /// A request to continue one or more texts. Every field may be absent or null.
    CompletionRequest {
        /// The model's name; `/v1/models` lists them. The first text model if it is absent.
        #[schema(example = "tales")]
        pub(crate) model: Option<String>,
        /// What to continue; the model's EOS token if it is absent or empty, so that a new text
        /// begins.
        #[schema(example = "Once upon a time")]
        pub(crate) prompt: Option<PromptField>,
        /// Most tokens to generate; with the prompt at most the model's context. 16, or what the
        /// context has room for, if it is absent.
        #[schema(minimum = 0)]
        pub(crate) max_tokens: Option<u32>,
        /// Sequences to generate for each prompt, of which the `n` most probable are answered; `n`
        /// if it is absent or 0. More than `n` are at most 20, and not possible with `stream`.
        #[schema(minimum = 0, maximum = 128)]
        pub(crate) best_of: Option<u32>,
        /// The log-probability of each token and of this many alternatives.
        #[schema(minimum = 0, maximum = 20)]
        pub(crate) logprobs: Option<u32>,
        /// Whether the answer starts with the prompt.
        pub(crate) echo: Option<bool>,
        /// Whether a prompt that is text begins with what the model's tokenizer adds to a text, such
        /// as a BOS token; true if it is absent.
        pub(crate) add_special_tokens: Option<bool>,
        /// Whether special tokens that a prompt spells out become control tokens; false if it is
        /// absent, and then they are ordinary text.
        pub(crate) parse_special: Option<bool>,
        /// Must be null or empty: these models cannot fill in the middle of a text.
        pub(crate) suffix: Option<String>,
    }
}

impl Body for CompletionRequest {
    const API: Api = Api::Completions;
}

impl CompletionRequest {
    /// What is asked for; refuses what its fields make impossible together. `stream` is whether the
    /// answer is a stream.
    pub(super) fn into_generation(mut self, stream: bool) -> Result<GenerationRequest, ApiError> {
        if self.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
            let message =
                "`suffix` must be null or empty: these models only continue a text, they cannot fill in its middle";
            return Err(ApiError::unsupported("suffix", message));
        }
        let request = self.generation()?;
        let special = (self.add_special_tokens.unwrap_or(true), self.parse_special.unwrap_or_default());
        check_best_of(request.n, self.best_of, stream)?;
        Ok(GenerationRequest {
            model: self.model,
            prompts: prompts(self.prompt, special)?,
            max_tokens: self.max_tokens,
            default_max_tokens: DEFAULT_MAX_TOKENS,
            best_of: self.best_of.filter(|&best_of| best_of > 0),
            logprobs: self.logprobs,
            echo: self.echo.unwrap_or(request.echo),
            ..request
        })
    }
}

/// Refuses a number of sequences that the choices cannot be chosen of.
fn check_best_of(n: u32, best_of: Option<u32>, stream: bool) -> Result<(), ApiError> {
    let best_of = best_of.filter(|&best_of| best_of > 0).unwrap_or(n);
    let rule = if best_of < n {
        "it must be at least `n`".to_owned()
    } else if best_of > n && stream {
        "it must be equal to `n` where `stream` is true".to_owned()
    } else if best_of > n.max(MAX_BEST_OF) {
        format!("it must be at most {MAX_BEST_OF}, or equal to `n`")
    } else {
        return Ok(());
    };
    Err(ApiError::invalid("best_of", format!("`best_of` is {best_of} and `n` {n}; {rule}")))
}

/// What to continue; an empty prompt is none. To texts special tokens are added, and in texts they
/// are found, or not.
fn prompts(
    field: Option<PromptField>,
    (add_special_tokens, parse_special): (bool, bool),
) -> Result<Vec<Option<Prompt>>, ApiError> {
    let of_text = |text: String| {
        (!text.is_empty()).then_some(Prompt::Text(TextPrompt { text, add_special_tokens, parse_special }))
    };
    let of_tokens = |tokens: Vec<u32>| (!tokens.is_empty()).then_some(Prompt::Tokens(tokens));
    let prompts: Vec<Option<Prompt>> = match field {
        Some(PromptField::Text(text)) => vec![of_text(text)],
        Some(PromptField::Texts(texts)) => texts.into_iter().map(of_text).collect(),
        Some(PromptField::Tokens(tokens)) => vec![of_tokens(tokens)],
        Some(PromptField::TokenLists(lists)) => lists.into_iter().map(of_tokens).collect(),
        None => vec![None],
    };
    if prompts.is_empty() {
        return Err(ApiError::invalid("prompt", "`prompt` is an empty array; it must hold at least one prompt"));
    }
    Ok(prompts)
}

/// One prompt or several, as text or as token ids.
#[derive(Clone, Debug, ToSchema)]
#[serde(untagged)]
pub(crate) enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// By hand, since the derived code would hold a copy of the whole prompt while it tries one kind
/// after the other.
impl<'de> Deserialize<'de> for PromptField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Prompts;
        impl<'de> Visitor<'de> for Prompts {
            type Value = PromptField;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .write_str("a text, an array of texts, an array of token ids, or an array of arrays of token ids")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PromptField, E> {
                Ok(PromptField::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PromptField, A::Error> {
                Ok(match seq.next_element()? {
                    None => PromptField::Texts(Vec::new()),
                    Some(Entry::Text(first)) => PromptField::Texts(rest(first, seq, MAX_PROMPTS)?),
                    Some(Entry::Token(first)) => PromptField::Tokens(rest(first, seq, usize::MAX)?),
                    Some(Entry::Tokens(first)) => PromptField::TokenLists(rest(first, seq, MAX_PROMPTS)?),
                })
            }
        }
        deserializer.deserialize_any(Prompts)
    }
}

/// An array whose first entry has been read. It is refused while it is read: short entries take
/// many times their bytes of memory.
fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(first: T, mut seq: A, most: usize) -> Result<Vec<T>, A::Error> {
    let mut entries = vec![first];
    while let Some(entry) = seq.next_element()? {
        if entries.len() == most {
            return Err(A::Error::custom(format!("expected at most {most} prompts")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The first entry of an array of prompts; the others are alike.
enum Entry {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Entry;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a token id or an array of token ids")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry::Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, token: u64) -> Result<Entry, E> {
                let invalid = |_| E::invalid_value(de::Unexpected::Unsigned(token), &"a token id");
                u32::try_from(token).map(Entry::Token).map_err(invalid)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Entry, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(Entry::Tokens)
            }
        }
        deserializer.deserialize_any(First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::Checked;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use utoipa::PartialSchema;

    /// The refusal of a field without effect, if the body has one; the outer error is that of a
    /// body that cannot be read.
    fn refusal(body: Value) -> Result<Option<ApiError>, String> {
        let body: Checked<CompletionRequest> = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Ok(body.supported().err())
    }

    #[test]
    fn the_schema_has_the_fields_with_an_effect_and_no_others() {
        let schema = serde_json::to_value(CompletionRequest::schema()).expect("a schema");
        let described: BTreeSet<&str> =
            schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        assert_eq!(described, crate::known_fields::names_of::<CompletionRequest>().iter().copied().collect());
        assert_eq!(described.len(), 26);
    }

    #[test]
    fn what_asks_for_nothing_passes_and_anything_else_is_refused_by_name() {
        let passes = [
            json!({ "store": false, "length_penalty": 1, "use_beam_search": false, "metadata": { "a": [1] } }),
            json!({ "length_penalty": 1.0, "response_format": { "type": "text" }, "stop_token_ids": [] }),
            json!({ "user": "someone", "service_tier": "auto", "vllm_xargs": {} }),
        ];
        for body in passes {
            assert!(refusal(body.clone()).expect("a request").is_none(), "{body}");
        }
        let refused = [
            json!({ "store": true }),
            json!({ "length_penalty": 2 }),
            json!({ "response_format": { "type": "json_object" } }),
            json!({ "response_format": { "type": "text", "strict": true } }),
            json!({ "stop_token_ids": [1] }),
            json!({ "service_tier": "flex" }),
            json!({ "guided_json": { "type": "object" } }),
        ];
        for body in refused {
            let error = refusal(body.clone()).expect("a request").expect("a refusal");
            let param = error.param().unwrap_or_default();
            assert!(body.as_object().is_some_and(|body| body.contains_key(param)), "{body} {error:?}");
            assert!(error.to_string().contains(param));
        }
    }

    #[test]
    fn a_field_that_is_unknown_is_an_error() {
        assert!(refusal(json!({ "promt": "a" })).is_err_and(|error| error.starts_with("unknown field `promt`")));
    }
}
