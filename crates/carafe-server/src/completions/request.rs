//! The body of `POST /v1/completions`: OpenAI's fields, and the usual extras of servers that run open models.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

/// A request to continue one or more texts. Every field but `model` may be absent or null.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// The model's name; `/v1/models` lists them.
    #[schema(example = "tales")]
    pub(crate) model: String,
    /// What to continue; the model's end-of-text token if it is absent, so that a new text begins.
    #[schema(example = "Once upon a time")]
    pub(crate) prompt: Option<PromptField>,
    /// Most tokens to generate, 16 if it is absent; 0 is valid with `echo` only. With the prompt at most the model's context.
    #[schema(minimum = 0)]
    pub(crate) max_tokens: Option<u32>,
    /// 0 (always the most probable token) to 2; 1 if it is absent.
    #[schema(minimum = 0, maximum = 2)]
    pub(crate) temperature: Option<f32>,
    /// Only the most probable tokens that together reach this probability; above 0, at most 1, which is the default.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(crate) top_p: Option<f32>,
    /// Choices for each prompt, 1 if it is absent.
    #[schema(minimum = 1, maximum = 16)]
    pub(crate) n: Option<u32>,
    /// Sequences to generate for each prompt, of which the `n` most probable are answered; `n` if it is absent. Not with `stream`.
    #[schema(minimum = 1, maximum = 16)]
    pub(crate) best_of: Option<u32>,
    /// Whether to answer token by token, as server-sent events.
    pub(crate) stream: Option<bool>,
    /// With `stream` only.
    pub(crate) stream_options: Option<StreamOptions>,
    /// The log-probability of each token and of so many alternatives.
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
    /// The same request and seed give the same text; choice `j` of a prompt uses `seed + j`. Random if it is absent.
    pub(crate) seed: Option<u64>,
    /// Taken and not used.
    #[expect(dead_code, reason = "OpenAI's field for whoever is billed; here it means nothing")]
    pub(crate) user: Option<String>,
    /// Must be null: these models cannot fill in the middle of a text.
    pub(crate) suffix: Option<String>,
    /// Only the so many most probable tokens.
    #[schema(minimum = 1)]
    pub(crate) top_k: Option<u32>,
    /// Only tokens at least this share as probable as the best; at least 0, below 1.
    #[schema(minimum = 0, exclusive_maximum = 1)]
    pub(crate) min_p: Option<f32>,
    /// Above 1 makes tokens of prompt and output less likely, below 1 more; above 0.
    #[schema(exclusive_minimum = 0)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Whether to go on past an end-of-text token.
    pub(crate) ignore_eos: Option<bool>,
    /// No end of text before so many tokens.
    #[schema(minimum = 0)]
    pub(crate) min_tokens: Option<u32>,
}

/// One prompt or several, as text or as token ids.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a text, an array of texts, an array of token ids, or an array of arrays of token ids"
)]
pub(crate) enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// One stop text or several.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or an array of up to 4 texts")]
pub(crate) enum StopField {
    One(String),
    Several(Vec<String>),
}

/// What a stream holds besides tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Whether a last chunk tells the numbers of tokens.
    pub(crate) include_usage: Option<bool>,
}
