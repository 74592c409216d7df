//! The fields that the bodies of completions and of chat share.
//!
//! A macro declares them, since serde's way to put one struct into another (`flatten`) forgets where
//! a value stood, takes a field twice, and cannot refuse unknown ones.

/// Declares the body of a route that generates: its own fields, then the shared ones.
macro_rules! generation_body {
    ($(#[$attribute:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($own)*
            /// 0 (always the most probable token) to 2; 1 if it is absent.
            #[schema(minimum = 0, maximum = 2)]
            pub(crate) temperature: Option<f32>,
            /// Only the most probable tokens that together reach this probability, at least one; 1
            /// if it is absent.
            #[schema(minimum = 0, maximum = 1)]
            pub(crate) top_p: Option<f32>,
            /// Choices for each prompt, 1 if it is absent.
            #[schema(minimum = 1, maximum = 128)]
            pub(crate) n: Option<u32>,
            /// Whether to answer token by token, as server-sent events.
            pub(crate) stream: Option<bool>,
            /// What asks for something is possible with `stream` only.
            pub(crate) stream_options: Option<$crate::openai::options::StreamOptions>,
            /// Up to 4 texts that end the output and are not in it.
            pub(crate) stop: Option<$crate::openai::options::StopField>,
            /// Taken off a token's logit once the output holds it.
            #[schema(minimum = -2, maximum = 2)]
            pub(crate) presence_penalty: Option<f32>,
            /// Taken off a token's logit for each time that the output holds it.
            #[schema(minimum = -2, maximum = 2)]
            pub(crate) frequency_penalty: Option<f32>,
            /// Added to the logits of tokens, by their id; -100 to 100.
            pub(crate) logit_bias: Option<std::collections::BTreeMap<String, f32>>,
            /// The same request and seed give the same text. Sequence `j` of prompt `i` uses `seed +
            /// i * k + j`, where each prompt has `k` sequences; each draws a seed of its own if it
            /// is absent. From -2^63 to 2^64 - 1; a negative one is the same as 2^64 more.
            pub(crate) seed: Option<$crate::openai::options::Seed>,
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
            /// Whether special tokens of the output give no text; true if it is absent.
            pub(crate) skip_special_tokens: Option<bool>,
            /// Whether what the KV cache holds of the prompt already may be used, and this request's
            /// part of it by later ones; true if it is absent. False computes the whole prompt, and
            /// its tokens are those of a server that has seen nothing before.
            pub(crate) prefix_cache: Option<bool>,
        }

        impl $name {
            /// What the shared fields ask for, without the prompts; takes them out.
            fn generation(&mut self) -> Result<$crate::service::GenerationRequest, $crate::error::ApiError> {
                use $crate::openai::options::{biases, choices, top_k};
                let whole = $crate::service::GenerationRequest::default();
                Ok($crate::service::GenerationRequest {
                    min_tokens: self.min_tokens.unwrap_or(whole.min_tokens),
                    n: choices(self.n)?,
                    seed: self.seed.map(|seed| seed.0),
                    stop: self.stop.take().map_or_else(Vec::new, |stop| stop.0),
                    skip_special_tokens: self.skip_special_tokens.unwrap_or(whole.skip_special_tokens),
                    ignore_eos: self.ignore_eos.unwrap_or(whole.ignore_eos),
                    prefix_cache: self.prefix_cache.unwrap_or(whole.prefix_cache),
                    sampling: $crate::service::SamplingRequest {
                        temperature: self.temperature,
                        top_k: self.top_k.map(top_k).transpose()?,
                        top_p: self.top_p,
                        min_p: self.min_p,
                        repetition_penalty: self.repetition_penalty,
                        frequency_penalty: self.frequency_penalty,
                        presence_penalty: self.presence_penalty,
                        logit_bias: biases(self.logit_bias.take().unwrap_or_default())?,
                    },
                    ..whole
                })
            }

            /// Whether to stream, and whether a last chunk is to bring the usage.
            pub(super) fn streaming(&self) -> Result<(bool, bool), $crate::error::ApiError> {
                let stream = self.stream.unwrap_or_default();
                Ok((stream, self.stream_options.unwrap_or_default().include_usage(stream)?))
            }
        }
    };
}

pub(crate) use generation_body;
