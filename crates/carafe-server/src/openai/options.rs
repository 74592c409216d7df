//! Values of fields that have more than one form, or rules of their own.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::quote::quoted;
use crate::service::ALL_TOKENS;

/// Most stop texts.
const MAX_STOPS: usize = 4;

/// Most choices of a prompt; OpenAI's number.
const MAX_N: u32 = 128;

/// A seed; negative ones are in two's complement.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64)]
pub(crate) struct Seed(pub(crate) u64);

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

impl StreamOptions {
    /// Whether a last chunk is asked for; refuses what is not possible.
    pub(crate) fn include_usage(self, stream: bool) -> Result<bool, ApiError> {
        if self.include_usage == Some(true) && !stream {
            let message =
                "`include_usage` is only possible where `stream` is true; a whole answer has its `usage` anyway";
            return Err(ApiError::invalid("stream_options", message));
        }
        let unsupported = [
            ("include_obfuscation", self.include_obfuscation, "chunks are not padded here"),
            ("continuous_usage_stats", self.continuous_usage_stats, "the last chunk has the usage, if it is asked for"),
        ];
        match unsupported.into_iter().find(|(_, value, _)| *value == Some(true)) {
            Some((name, _, why)) => {
                let message = format!("`stream_options.{name}` must be false, or left out: {why}");
                Err(ApiError::unsupported("stream_options", message))
            }
            None => Ok(self.include_usage.unwrap_or_default()),
        }
    }
}

/// How many choices a prompt has.
pub(crate) fn choices(n: Option<u32>) -> Result<u32, ApiError> {
    let n = n.unwrap_or(1);
    if (1..=MAX_N).contains(&n) {
        return Ok(n);
    }
    Err(ApiError::invalid("n", format!("`n` must be 1 to {MAX_N}, got {n}")))
}

/// The number of tokens to keep.
pub(crate) fn top_k(top_k: i64) -> Result<u32, ApiError> {
    match top_k {
        -1 | 0 => Ok(ALL_TOKENS),
        // Every number beyond the vocabulary keeps all tokens.
        count @ 1.. => Ok(u32::try_from(count).unwrap_or(ALL_TOKENS)),
        other => {
            let message = format!("`top_k` must be 1 and up, or 0 or -1 to keep every token, got {other}");
            Err(ApiError::invalid("top_k", message))
        }
    }
}

/// Token ids out of JSON's keys, which are strings.
pub(crate) fn biases(biases: BTreeMap<String, f32>) -> Result<Vec<(u32, f32)>, ApiError> {
    let parse = |(key, bias): (String, f32)| {
        // `+1` and `01` are read as numbers, but are no other spelling of `1`: a token would be
        // there twice.
        let token = key.parse().ok().filter(|token: &u32| token.to_string() == key);
        token.map(|token| (token, bias)).ok_or_else(|| {
            let message = format!("`logit_bias` has the key {}; expected a token id", quoted(&key));
            ApiError::invalid("logit_bias", message)
        })
    };
    biases.into_iter().map(parse).collect()
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
