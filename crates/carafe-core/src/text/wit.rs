//! The conversion between `wit/text.wit`'s requests and events and those of this crate, written
//! once.
//!
//! A guest exports these types and the host imports them; the bindings of each are types of its own
//! with the same names and fields. So the conversion is a macro, which the guest and the host's
//! native path both expand over their bindings.

/// Functions `model`, `request`, `prompt`, `chat`, `request_error` and `event_kind` over the module
/// `$wit`, which has the types of WIT's interface `generation`.
///
/// `model` makes a [`TextModel`](crate::text::TextModel), `request` makes a
/// [`Request`](crate::text::Request), `request_error` a `RequestError` of one that was refused, and
/// `event_kind` an `EventKind` of an event; tokens get their bytes from the tokenizer.
#[macro_export]
macro_rules! wit_conversions {
    ($wit:path) => {
        use $wit as wit;

        /// The model in the core's words.
        pub(crate) fn model(model: wit::Model) -> $crate::text::TextModel {
            $crate::text::TextModel {
                context_length: model.context_length,
                vocabulary_size: model.vocabulary_size,
                eos_token_ids: model.eos_token_ids,
                block_size: model.block_size,
                num_blocks: model.num_blocks,
                max_num_seqs: model.max_num_seqs,
                max_num_batched_tokens: model.max_num_batched_tokens,
                max_num_logits: model.max_num_logits,
                prefill_chunk: model.prefill_chunk,
                draft_tokens: model.draft_tokens,
                prefix_sharing: match model.prefix_sharing {
                    wit::PrefixSharing::Off => $crate::text::PrefixSharing::Off,
                    wit::PrefixSharing::Tenant => $crate::text::PrefixSharing::Tenant,
                    wit::PrefixSharing::All => $crate::text::PrefixSharing::All,
                },
            }
        }

        /// The request in the core's words.
        pub(crate) fn request(request: wit::Request) -> $crate::text::Request {
            $crate::text::Request {
                prompt: prompt(request.prompt),
                max_tokens: request.max_tokens,
                max_tokens_is_default: request.max_tokens_is_default,
                sampling: sampling(request.sampling),
                stop: request.stop,
                ignore_eos: request.ignore_eos,
                min_tokens: request.min_tokens,
                logprobs: request.logprobs,
                echo: request.echo,
                reasoning: reasoning(request.reasoning),
                skip_special_tokens: request.skip_special_tokens,
                tenant: request.tenant,
                prefix_cache: request.prefix_cache,
                resume: request.resume,
            }
        }

        /// The prompt in the core's words.
        pub(crate) fn prompt(prompt: wit::Prompt) -> $crate::text::Prompt {
            match prompt {
                wit::Prompt::Text(wit::TextPrompt { text, add_special_tokens, parse_special }) => {
                    let options = $crate::tokenizer::EncodeOptions { add_special_tokens, parse_special };
                    $crate::text::Prompt::Text($crate::text::TextPrompt { text, options })
                }
                wit::Prompt::Tokens(tokens) => $crate::text::Prompt::Tokens(tokens),
                wit::Prompt::Chat(conversation) => $crate::text::Prompt::Chat(chat(conversation)),
            }
        }

        /// The conversation in the core's words.
        pub(crate) fn chat(chat: wit::Chat) -> $crate::chat::Chat {
            $crate::chat::Chat {
                messages: chat.messages,
                tools: chat.tools,
                template_arguments: chat.template_arguments,
                add_generation_prompt: chat.add_generation_prompt,
                continue_final_message: chat.continue_final_message,
                now: i64::try_from(chat.now).unwrap_or(i64::MAX),
            }
        }

        fn reasoning(reasoning: wit::Reasoning) -> $crate::text::Reasoning {
            match reasoning {
                wit::Reasoning::InText => $crate::text::Reasoning::InText,
                wit::Reasoning::Apart => $crate::text::Reasoning::Apart,
                wit::Reasoning::Tagged(wit::ReasoningTags { start, end, is_open }) => {
                    $crate::text::Reasoning::Tagged($crate::text::ReasoningTags { start, end, is_open })
                }
            }
        }

        fn sampling(sampling: wit::Sampling) -> $crate::text::Sampling {
            $crate::text::Sampling {
                temperature: sampling.temperature,
                top_k: sampling.top_k,
                top_p: sampling.top_p,
                min_p: sampling.min_p,
                repetition_penalty: sampling.repetition_penalty,
                frequency_penalty: sampling.frequency_penalty,
                presence_penalty: sampling.presence_penalty,
                logit_bias: sampling.logit_bias,
                seed: sampling.seed,
            }
        }

        /// Why a request was refused, in the words of the WIT.
        pub(crate) fn request_error(error: &$crate::text::RequestError) -> wit::RequestError {
            use $crate::text::RequestErrorCode as Code;
            let code = match error.code() {
                Code::Invalid => wit::RequestErrorCode::Invalid,
                Code::ContextLengthExceeded => wit::RequestErrorCode::ContextLengthExceeded,
                Code::QueueFull => wit::RequestErrorCode::QueueFull,
                Code::InvalidResume => wit::RequestErrorCode::InvalidResume,
                Code::TemplateFailed => wit::RequestErrorCode::TemplateFailed,
            };
            let message = $crate::text::error_chain(error);
            wit::RequestError { code, parameter: error.parameter().map(str::to_owned), message }
        }

        /// An event in the words of the WIT.
        pub(crate) fn event_kind(
            kind: $crate::text::EventKind,
            tokenizer: &$crate::tokenizer::Tokenizer,
        ) -> wit::EventKind {
            use $crate::text::EventKind as Kind;
            match kind {
                Kind::Started { prompt_tokens, cached_tokens } => {
                    wit::EventKind::Started(wit::Started { prompt_tokens, cached_tokens })
                }
                Kind::Prompt { text, tokens } => {
                    let tokens = tokens.into_iter().map(|token| prompt_token(token, tokenizer)).collect();
                    wit::EventKind::Prompt(wit::EchoedPrompt { text, tokens })
                }
                Kind::Token { id, text, reasoning, text_offset, logprobs } => {
                    let logprobs = logprobs.map(|logprobs| token_logprobs(&logprobs, tokenizer));
                    let bytes = bytes(id, tokenizer);
                    wit::EventKind::Token(wit::GeneratedToken { id, bytes, text, reasoning, text_offset, logprobs })
                }
                Kind::Finished { reason, text, reasoning, prompt_tokens, generated_tokens } => {
                    let reason = finish_reason(reason);
                    wit::EventKind::Finished(wit::Finished { reason, text, reasoning, prompt_tokens, generated_tokens })
                }
                Kind::Failed { kind, message } => {
                    wit::EventKind::Failed(wit::Failure { kind: failure_kind(kind), message })
                }
            }
        }

        fn prompt_token(
            token: $crate::text::PromptToken,
            tokenizer: &$crate::tokenizer::Tokenizer,
        ) -> wit::PromptToken {
            let logprobs = token.logprobs.map(|logprobs| token_logprobs(&logprobs, tokenizer));
            let bytes = bytes(token.id, tokenizer);
            wit::PromptToken { id: token.id, bytes, text_offset: token.text_offset, logprobs }
        }

        fn token_logprobs(
            logprobs: &$crate::text::TokenLogprobs,
            tokenizer: &$crate::tokenizer::Tokenizer,
        ) -> wit::TokenLogprobs {
            let top = logprobs.top.iter().map(|token| wit::TokenLogprob {
                id: token.id,
                bytes: bytes(token.id, tokenizer),
                logprob: token.logprob,
            });
            wit::TokenLogprobs { chosen: logprobs.logprob, top: top.collect() }
        }

        fn bytes(token: u32, tokenizer: &$crate::tokenizer::Tokenizer) -> Vec<u8> {
            tokenizer.token_bytes(token).unwrap_or_default()
        }

        fn finish_reason(reason: $crate::text::FinishReason) -> wit::FinishReason {
            match reason {
                $crate::text::FinishReason::Eos => wit::FinishReason::Eos,
                $crate::text::FinishReason::Stop => wit::FinishReason::Stop,
                $crate::text::FinishReason::Length => wit::FinishReason::Length,
            }
        }

        fn failure_kind(kind: $crate::text::FailureKind) -> wit::FailureKind {
            match kind {
                $crate::text::FailureKind::ForwardPass => wit::FailureKind::ForwardPass,
                $crate::text::FailureKind::Logits => wit::FailureKind::Logits,
            }
        }
    };
}
