//! The body of `POST /v1/completions`: OpenAI's fields, and the usual extras of servers that run
//! open models.
//!
//! `reading` makes it of JSON, and judges the fields that have no effect.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, de};
use utoipa::ToSchema;

use super::fields::Field;
use crate::Configuration;

/// Most prompts of one request: no model lets more sequences wait.
const MAX_PROMPTS: usize = Configuration::MAX_QUEUE as usize;
/// Most stop texts.
const MAX_STOPS: usize = 4;

/// A request to continue one or more texts. Every field may be absent or null.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// The model's name; `/v1/models` lists them. The first text model if it is absent.
    #[schema(example = "tales")]
    pub(crate) model: Option<String>,
    /// What to continue; the model's EOS token if it is absent or empty, so that a new text begins.
    #[schema(example = "Once upon a time")]
    pub(crate) prompt: Option<PromptField>,
    /// Most tokens to generate; with the prompt at most the model's context. 16, or what the
    /// context has room for, if it is absent.
    #[schema(minimum = 0)]
    pub(crate) max_tokens: Option<u32>,
    /// 0 (always the most probable token) to 2; 1 if it is absent.
    #[schema(minimum = 0, maximum = 2)]
    pub(crate) temperature: Option<f32>,
    /// Only the most probable tokens that together reach this probability, at least one; 1 if it is
    /// absent.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) top_p: Option<f32>,
    /// Choices for each prompt, 1 if it is absent.
    #[schema(minimum = 1, maximum = 128)]
    pub(crate) n: Option<u32>,
    /// Sequences to generate for each prompt, of which the `n` most probable are answered; `n` if
    /// it is absent or 0. More than `n` are at most 20, and not possible with `stream`.
    #[schema(minimum = 0, maximum = 128)]
    pub(crate) best_of: Option<u32>,
    /// Whether to answer token by token, as server-sent events.
    pub(crate) stream: Option<bool>,
    /// What asks for something is possible with `stream` only.
    pub(crate) stream_options: Option<StreamOptions>,
    /// The log-probability of each token and of this many alternatives.
    #[schema(minimum = 0, maximum = 20)]
    pub(crate) logprobs: Option<u32>,
    /// Whether the answer starts with the prompt.
    pub(crate) echo: Option<bool>,
    /// Up to 4 texts that end the output and are not in it.
    pub(crate) stop: Option<StopField>,
    /// Taken off a token's logit once the output holds it.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) presence_penalty: Option<f32>,
    /// Taken off a token's logit for each time that the output holds it.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) frequency_penalty: Option<f32>,
    /// Added to the logits of tokens, by their id; -100 to 100.
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
    /// The same request and seed give the same text. Sequence `j` of prompt `i` uses `seed + i *
    /// best_of + j`; each draws a seed of its own if it is absent. From -2^63 to 2^64 - 1; a
    /// negative one is the same as 2^64 more.
    pub(crate) seed: Option<Seed>,
    /// Must be null or empty: these models cannot fill in the middle of a text.
    pub(crate) suffix: Option<String>,
    /// Only this many of the most probable tokens; 0 and -1 keep all.
    #[schema(minimum = -1)]
    pub(crate) top_k: Option<i64>,
    /// Only tokens at least this share as probable as the best; at least 0, below 1.
    #[schema(minimum = 0, exclusive_maximum = 1)]
    pub(crate) min_p: Option<f32>,
    /// Above 1 makes tokens of prompt and output less likely, below 1 more; above 0.
    #[schema(exclusive_minimum = 0)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Whether to go on past an EOS token.
    pub(crate) ignore_eos: Option<bool>,
    /// No end of text before this many tokens.
    #[schema(minimum = 0)]
    pub(crate) min_tokens: Option<u32>,
    /// Whether what the KV cache holds of the prompt already may be used, and this request's part
    /// of it by later ones; true if it is absent. False computes the whole prompt, and its tokens
    /// are those of a server that has seen nothing before.
    pub(crate) prefix_cache: Option<bool>,
    /// The first field without effect whose value is refused.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) unsupported: Option<&'static Field>,
}

/// A seed; negative ones are in two's complement.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64)]
pub(crate) struct Seed(pub(crate) u64);

/// One prompt or several, as text or as token ids.
#[derive(Clone, Debug, ToSchema)]
#[serde(untagged)]
pub(crate) enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// One stop text or several; empty ones stop nothing and are passed over.
#[derive(Clone, Debug, Default, ToSchema)]
#[schema(value_type = Vec<String>)]
pub(crate) struct StopField(pub(crate) Vec<String>);

/// What a stream holds besides tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Whether a last chunk tells the numbers of tokens.
    pub(crate) include_usage: Option<bool>,
    /// Must be null or false: chunks are not padded.
    pub(crate) include_obfuscation: Option<bool>,
    /// Must be null or false: only the last chunk tells the numbers of tokens.
    pub(crate) continuous_usage_stats: Option<bool>,
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = Seed;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number from -2^63 to 2^64 - 1")
            }

            fn visit_u64<E: Error>(self, seed: u64) -> Result<Seed, E> {
                Ok(Seed(seed))
            }

            fn visit_i64<E: Error>(self, seed: i64) -> Result<Seed, E> {
                Ok(Seed(seed.cast_unsigned()))
            }
        }
        deserializer.deserialize_any(Integer)
    }
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

impl<'de> Deserialize<'de> for StopField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a text or an array of up to 4 texts";
        struct Stops;
        impl<'de> Visitor<'de> for Stops {
            type Value = StopField;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StopField, E> {
                Ok(StopField(Some(text).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StopField, A::Error> {
                let mut stops = Vec::new();
                while let Some(stop) = seq.next_element::<String>()? {
                    if stops.len() == MAX_STOPS {
                        return Err(A::Error::custom(format!("expected {EXPECTED}")));
                    }
                    stops.push(stop);
                }
                stops.retain(|stop| !stop.is_empty());
                Ok(StopField(stops))
            }
        }
        deserializer.deserialize_any(Stops)
    }
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
