//! The fields that a client may send and that have no effect here: which values pass, and why
//! others are refused.
//!
//! They and the fields of the bodies are every field that is known; the tables in
//! `docs/http-api.md` show them. A value passes where it asks for nothing, or is a hint that
//! changes no answer. Null asks for nothing in every field. No field is passed over beyond that: an
//! unknown one is an error of its own.

use std::fmt;

use super::reading::Body;
use crate::known_fields::names_of;

/// A field without effect.
#[derive(Debug)]
pub(crate) struct Field {
    pub(super) name: &'static str,
    /// The only protocol in which it has no effect; none if it has in neither.
    only: Option<Api>,
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
    /// `["text"]`.
    TextModality,
}

use Api::{Chat, Completions};
use Neutral::{Anything, Bool, Empty, Number, Text, TextFormat, TextModality};

const fn field(name: &'static str, accepted: &'static [Neutral], advice: &'static str) -> Field {
    Field { name, only: None, accepted, advice }
}

/// The same, of a field that is known to one protocol alone, or has an effect in the other.
const fn only(only: Api, name: &'static str, accepted: &'static [Neutral], advice: &'static str) -> Field {
    Field { name, only: Some(only), accepted, advice }
}

const CONSTRAINED: &str = "output cannot be constrained here";
const MAX_TOKENS: &str = "the field is called `max_tokens`";
const NO_CHAT: &str = "conversations go to `/v1/chat/completions`";

/// One of OpenAI's protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Completions,
    Chat,
}

/// The fields of a protocol that have no effect.
pub(super) fn without_effect(api: Api) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| field.only.is_none_or(|only| only == api))
}

/// The names of all fields that a body may have.
pub(crate) fn field_names<T: Body>() -> impl Iterator<Item = &'static str> {
    names_of::<T>().iter().copied().chain(without_effect(T::API).map(|field| field.name))
}

/// Every field without effect.
#[rustfmt::skip]
static FIELDS: [Field; 82] = [
    // Hints and notes of OpenAI's API and of servers that speak it.
    field("user", &[Anything], ""),
    field("metadata", &[Anything], ""),
    field("safety_identifier", &[Anything], ""),
    field("prompt_cache_key", &[Anything], ""),
    field("prompt_cache_retention", &[Anything], ""),
    field("cache_prompt", &[Anything], ""),
    // What is so here in any case.
    field("spaces_between_special_tokens", &[Bool(true), Bool(false)], "no token is given a space that it does not have"),
    only(Chat, "add_special_tokens", &[Bool(false)], "the chat template writes every special token of the prompt"),
    only(Chat, "parse_special", &[Bool(false)], "no text of a conversation becomes a control token"),
    only(Chat, "stream_reasoning", &[Bool(true)], "reasoning is streamed as it comes"),
    only(Chat, "parallel_tool_calls", &[Bool(true), Bool(false)], "a call comes as text"),
    only(Chat, "modalities", &[TextModality], "answers are text"),
    only(Chat, "verbosity", &[Text("medium")], "say in a message how long the answer is to be"),
    only(Chat, "functions", &[Empty], "the field is called `tools`"),
    only(Chat, "function_call", &[Text("none"), Text("auto")], "the field is called `tool_choice`"),
    only(Chat, "documents", &[Empty], "write what the model is to know into a message"),
    only(Chat, "echo", &[Bool(false)], "the prompt of a conversation is not answered; `/apply-template` shows it"),
    only(Chat, "best_of", &[Number(1.0)], "use `n`"),
    field("detokenize", &[Bool(true)], "answers are text"),
    // Other values would change the answer.
    field("store", &[Bool(false)], "nothing is stored here"),
    field("service_tier", &[Text("auto"), Text("default")], "there is one tier"),
    field("response_format", &[TextFormat], CONSTRAINED),
    field("use_beam_search", &[Bool(false)], "there is no beam search here"),
    field("length_penalty", &[Number(1.0)], "it belongs to beam search, which there is none of here"),
    field("early_stopping", &[Bool(false)], "it belongs to beam search, which there is none of here"),
    field("include_stop_str_in_output", &[Bool(false)], "the output ends before a stop text"),
    field("stop_token_ids", &[Empty], "use `stop`"),
    field("bad_words", &[Empty], "use `logit_bias`"),
    field("priority", &[Number(0.0)], "requests are served as they come"),
    only(Completions, "prompt_logprobs", &[Bool(false)], "use `echo` with `logprobs`"),
    only(Chat, "prompt_logprobs", &[Bool(false)], "a conversation is not scored; use `/v1/completions`"),
    only(Completions, "top_logprobs", &[], "use `logprobs`, which is a number here"),
    field("return_tokens_as_token_ids", &[Bool(false)], "tokens are given as text"),
    field("return_token_ids", &[Bool(false)], "tokens are given as text"),
    field("logits_processors", &[Empty], "requests bring no code"),
    field("kv_transfer_params", &[Empty], "the KV cache stays where it is"),
    field("vllm_xargs", &[Empty], "they are vLLM's own"),
    only(Completions, "tools", &[Empty], NO_CHAT),
    field("typical_p", &[Number(1.0)], "use `top_p` or `min_p`"),
    field("tfs_z", &[Number(1.0)], "use `top_p` or `min_p`"),
    field("top_a", &[Number(0.0)], "use `top_p` or `min_p`"),
    field("mirostat", &[Number(0.0)], "use `top_p` or `min_p`"),
    field("repeat_penalty", &[Number(1.0)], "the field is called `repetition_penalty`"),
    field("no_repeat_ngram_size", &[Number(0.0)], "use `repetition_penalty`"),
    field("num_beams", &[Number(1.0)], "there is no beam search here"),
    field("do_sample", &[Bool(true)], "`temperature` 0 always takes the most probable token"),
    // What cannot be done here.
    field("truncate_prompt_tokens", &[], "a prompt is never cut"),
    field("allowed_token_ids", &[], "use `logit_bias`"),
    only(Completions, "prompt_embeds", &[], "send a `prompt`"),
    only(Chat, "audio", &[], "answers are text"),
    only(Chat, "prediction", &[], "drafts are the server's own, by `--draft-tokens`"),
    only(Chat, "web_search_options", &[], "nothing outside the model is asked"),
    only(Chat, "chat_template", &[], "conversations are written by the model's own template; send your own prompt to `/v1/completions`"),
    only(Chat, "reasoning_effort", &[], "what a template knows of it goes into `chat_template_kwargs`"),
    only(Chat, "enable_thinking", &[], "it goes into `chat_template_kwargs`"),
    only(Chat, "include_reasoning", &[Bool(true)], "the field is called `separate_reasoning`"),
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
    only(Completions, "max_completion_tokens", &[], MAX_TOKENS),
    field("max_new_tokens", &[], MAX_TOKENS),
    field("max_length", &[], MAX_TOKENS),
    field("n_predict", &[], MAX_TOKENS),
    field("num_predict", &[], MAX_TOKENS),
    only(Completions, "n_probs", &[], "the field is called `logprobs`"),
    only(Completions, "input", &[], "the field is called `prompt`"),
    only(Completions, "inputs", &[], "the field is called `prompt`"),
    only(Chat, "n_probs", &[], "the field is called `top_logprobs`"),
    only(Chat, "input", &[], "the field is called `messages`"),
    only(Chat, "inputs", &[], "the field is called `messages`"),
    only(Completions, "messages", &[], NO_CHAT),
    only(Chat, "prompt", &[], "send `messages`"),
    only(Completions, "tool_choice", &[Text("none")], NO_CHAT),
];

impl Field {
    /// Why its value is refused.
    pub(crate) fn refusal(&self) -> String {
        let Self { name, accepted, advice, .. } = self;
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
            TextModality => write!(formatter, "`[\"text\"]`"),
        }
    }
}
