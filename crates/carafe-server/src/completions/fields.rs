//! The fields that a client may send and that have no effect here: which values pass, and why
//! others are refused.
//!
//! [`FIELDS`] and [`EFFECTIVE`] together are every field that is known; the table in
//! `docs/http-api.md` shows them. A value passes where it asks for nothing, or is a hint that
//! changes no answer. Null asks for nothing in every field. No field is passed over beyond that: an
//! unknown one is an error of its own.

use std::fmt;

/// A field without effect.
#[derive(Debug)]
pub(crate) struct Field {
    pub(super) name: &'static str,
    /// The values that pass, beside null.
    pub(super) accepted: &'static [Neutral],
    /// Why others do not, and what to do instead.
    advice: &'static str,
}

/// A value that passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Neutral {
    /// Every value: the field is a hint.
    Anything,
    Bool(bool),
    Number(f64),
    Text(&'static str),
    /// An array or object without entries.
    Empty,
    /// `{"type": "text"}`.
    TextFormat,
}

use Neutral::{Anything, Bool, Empty, Number, Text, TextFormat};

const fn field(name: &'static str, accepted: &'static [Neutral], advice: &'static str) -> Field {
    Field { name, accepted, advice }
}

const CONSTRAINED: &str = "output cannot be constrained here";
const MAX_TOKENS: &str = "the field is called `max_tokens`";
const NO_CHAT: &str = "there is no chat here, send a `prompt`";

/// The names of all fields that are known.
pub(crate) fn field_names() -> impl Iterator<Item = &'static str> {
    EFFECTIVE.into_iter().chain(FIELDS.iter().map(|field| field.name))
}

/// Every field without effect.
#[rustfmt::skip]
pub(super) static FIELDS: [Field; 61] = [
    // Hints and notes of OpenAI's API and of servers that speak it.
    field("user", &[Anything], ""),
    field("metadata", &[Anything], ""),
    field("safety_identifier", &[Anything], ""),
    field("prompt_cache_key", &[Anything], ""),
    field("prompt_cache_retention", &[Anything], ""),
    field("cache_prompt", &[Anything], ""),
    // What is so here in any case.
    field("add_special_tokens", &[Bool(true), Bool(false)], "these models' tokenizers add none"),
    field("spaces_between_special_tokens", &[Bool(true), Bool(false)], "special tokens have no text here"),
    field("skip_special_tokens", &[Bool(true)], "special tokens have no text here"),
    field("detokenize", &[Bool(true)], "answers are text"),
    // Other values would change the answer.
    field("store", &[Bool(false)], "nothing is stored here"),
    field("service_tier", &[Text("auto"), Text("default")], "there is one tier"),
    field("response_format", &[TextFormat], CONSTRAINED),
    field("use_beam_search", &[Bool(false)], "there is no beam search here, `best_of` is the nearest"),
    field("length_penalty", &[Number(1.0)], "it belongs to beam search, which there is none of here"),
    field("early_stopping", &[Bool(false)], "it belongs to beam search, which there is none of here"),
    field("include_stop_str_in_output", &[Bool(false)], "the output ends before a stop text"),
    field("stop_token_ids", &[Empty], "use `stop`"),
    field("bad_words", &[Empty], "use `logit_bias`"),
    field("priority", &[Number(0.0)], "requests are served as they come"),
    field("prompt_logprobs", &[Bool(false)], "use `echo` with `logprobs`"),
    field("top_logprobs", &[], "use `logprobs`, which is a number here"),
    field("return_tokens_as_token_ids", &[Bool(false)], "tokens are given as text"),
    field("return_token_ids", &[Bool(false)], "tokens are given as text"),
    field("logits_processors", &[Empty], "requests bring no code"),
    field("kv_transfer_params", &[Empty], "the KV cache stays where it is"),
    field("vllm_xargs", &[Empty], "they are vLLM's own"),
    field("tools", &[Empty], NO_CHAT),
    field("typical_p", &[Number(1.0)], "use `top_p` or `min_p`"),
    field("tfs_z", &[Number(1.0)], "use `top_p` or `min_p`"),
    field("top_a", &[Number(0.0)], "use `top_p` or `min_p`"),
    field("mirostat", &[Number(0.0)], "use `top_p` or `min_p`"),
    field("repeat_penalty", &[Number(1.0)], "the field is called `repetition_penalty`"),
    field("no_repeat_ngram_size", &[Number(0.0)], "use `repetition_penalty`"),
    field("num_beams", &[Number(1.0)], "there is no beam search here, `best_of` is the nearest"),
    field("do_sample", &[Bool(true)], "`temperature` 0 always takes the most probable token"),
    // What cannot be done here.
    field("truncate_prompt_tokens", &[], "a prompt is never cut"),
    field("allowed_token_ids", &[], "use `logit_bias`"),
    field("prompt_embeds", &[], "send a `prompt`"),
    field("cache_salt", &[], "what is computed of a prompt is found by requests of the same API key alone; `prefix_cache` false finds nothing and leaves nothing"),
    field("request_id", &[], "send the header `x-request-id`"),
    field("structured_outputs", &[], CONSTRAINED),
    field("guided_json", &[], CONSTRAINED),
    field("guided_regex", &[], CONSTRAINED),
    field("guided_choice", &[], CONSTRAINED),
    field("guided_grammar", &[], CONSTRAINED),
    field("guided_decoding_backend", &[], CONSTRAINED),
    field("guided_whitespace_pattern", &[], CONSTRAINED),
    field("structural_tag", &[], CONSTRAINED),
    field("grammar", &[], CONSTRAINED),
    field("json_schema", &[], CONSTRAINED),
    // Other servers' names.
    field("max_completion_tokens", &[], MAX_TOKENS),
    field("max_new_tokens", &[], MAX_TOKENS),
    field("max_length", &[], MAX_TOKENS),
    field("n_predict", &[], MAX_TOKENS),
    field("num_predict", &[], MAX_TOKENS),
    field("n_probs", &[], "the field is called `logprobs`"),
    field("input", &[], "the field is called `prompt`"),
    field("inputs", &[], "the field is called `prompt`"),
    field("messages", &[], NO_CHAT),
    field("tool_choice", &[Text("none")], NO_CHAT),
];

/// The fields with an effect, as `CompletionRequest` has them.
pub(super) static EFFECTIVE: [&str; 23] = [
    "model",
    "prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "suffix",
    "top_k",
    "min_p",
    "repetition_penalty",
    "ignore_eos",
    "prefix_cache",
    "min_tokens",
];

impl Field {
    /// Why its value is refused.
    pub(crate) fn refusal(&self) -> String {
        let Self { name, accepted, advice } = self;
        let values: Vec<String> = accepted.iter().map(Neutral::to_string).collect();
        match &values[..] {
            [] => format!("`{name}` is not possible here: {advice}"),
            values => format!("`{name}` may only be {}, or left out: {advice}", values.join(" or ")),
        }
    }
}

impl fmt::Display for Neutral {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anything => write!(formatter, "anything"),
            Bool(value) => write!(formatter, "`{value}`"),
            Number(value) => write!(formatter, "`{value}`"),
            Text(value) => write!(formatter, "`\"{value}\"`"),
            Empty => write!(formatter, "empty"),
            TextFormat => write!(formatter, "`{{\"type\": \"text\"}}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::CompletionRequest;
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use utoipa::PartialSchema;

    fn read(body: Value) -> Result<CompletionRequest, String> {
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    #[test]
    fn the_fields_with_an_effect_are_those_of_the_request() {
        let schema = serde_json::to_value(CompletionRequest::schema()).expect("a schema");
        let described = schema["properties"].as_object().expect("properties").keys().map(String::as_str);
        assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(EFFECTIVE));
    }

    #[test]
    fn no_field_is_known_twice() {
        let names: BTreeSet<_> = FIELDS.iter().map(|field| field.name).chain(EFFECTIVE).collect();
        assert_eq!(names.len(), FIELDS.len() + EFFECTIVE.len());
    }

    #[test]
    fn the_document_names_every_field() {
        let document = include_str!("../../../../docs/http-api.md");
        for name in FIELDS.iter().map(|field| field.name).chain(EFFECTIVE) {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn null_asks_for_nothing_in_every_field() {
        for name in FIELDS.iter().map(|field| field.name).chain(EFFECTIVE) {
            let request = read(json!({ name: null })).expect(name);
            assert!(request.unsupported.is_none(), "{name}");
        }
    }

    #[test]
    fn what_asks_for_nothing_passes_and_anything_else_is_refused_by_name() {
        let passes = [
            json!({ "store": false, "length_penalty": 1, "use_beam_search": false, "metadata": { "a": [1] } }),
            json!({ "length_penalty": 1.0, "response_format": { "type": "text" }, "stop_token_ids": [] }),
            json!({ "user": "someone", "service_tier": "auto", "vllm_xargs": {} }),
        ];
        for body in passes {
            assert!(read(body.clone()).expect("a request").unsupported.is_none(), "{body}");
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
            let field = read(body.clone()).expect("a request").unsupported.expect("a refusal");
            assert!(body.as_object().is_some_and(|body| body.contains_key(field.name)), "{body} {field:?}");
            assert!(field.refusal().contains(field.name));
        }
    }

    #[test]
    fn a_field_that_is_unknown_is_an_error() {
        assert!(read(json!({ "promt": "a" })).is_err_and(|error| error.starts_with("unknown field `promt`")));
    }
}
