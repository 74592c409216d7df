//! The words of `wit/text.wit` and those of `carafe-core`, one for one.

use std::error::Error;

use carafe_core::text;

use crate::bindings::exports::carafe::guests::generation as wit;

/// An error with all its causes, for people.
pub(crate) fn chain(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(crate) fn model(model: wit::Model) -> text::TextModel {
    text::TextModel {
        context_length: model.context_length,
        vocabulary_size: model.vocabulary_size,
        end_of_text: model.end_of_text,
        max_batch: model.max_batch,
        max_step: model.max_step,
        max_logits: model.max_logits,
        max_positions: model.max_positions,
        draft_tokens: model.draft_tokens,
    }
}

pub(crate) fn request(request: wit::Request) -> text::Request {
    text::Request {
        prompt: match request.prompt {
            wit::Prompt::Text(prompt) => text::Prompt::Text(prompt),
            wit::Prompt::Tokens(tokens) => text::Prompt::Tokens(tokens),
        },
        max_tokens: request.max_tokens,
        max_tokens_is_default: request.max_tokens_is_default,
        sampling: sampling(request.sampling),
        stop: request.stop,
        ignore_end_of_text: request.ignore_end_of_text,
        min_tokens: request.min_tokens,
        logprobs: request.logprobs,
        echo: request.echo,
        resume: request.resume,
    }
}

fn sampling(sampling: wit::Sampling) -> text::Sampling {
    text::Sampling {
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

pub(crate) fn request_error(error: text::RequestError) -> wit::RequestError {
    let code = match error.code() {
        text::RequestErrorCode::Invalid => wit::RequestErrorCode::Invalid,
        text::RequestErrorCode::ContextLengthExceeded => wit::RequestErrorCode::ContextLengthExceeded,
        text::RequestErrorCode::QueueFull => wit::RequestErrorCode::QueueFull,
        text::RequestErrorCode::InvalidResume => wit::RequestErrorCode::InvalidResume,
    };
    wit::RequestError { code, parameter: error.parameter().map(str::to_owned), message: chain(error) }
}

/// An event; tokens get their bytes, which only the tokenizer knows.
pub(crate) fn event(event: text::Event, tokenizer: &text::Tokenizer) -> wit::Event {
    wit::Event { request: event.request, kind: event_kind(event.kind, tokenizer) }
}

fn event_kind(kind: text::EventKind, tokenizer: &text::Tokenizer) -> wit::EventKind {
    match kind {
        text::EventKind::Started { prompt_tokens } => wit::EventKind::Started(wit::Started { prompt_tokens }),
        text::EventKind::Prompt { text, tokens } => {
            let tokens = tokens.into_iter().map(|token| prompt_token(token, tokenizer)).collect();
            wit::EventKind::Prompt(wit::EchoedPrompt { text, tokens })
        }
        text::EventKind::Token { id, text, text_offset, logprobs } => {
            let (bytes, logprobs) =
                (bytes(id, tokenizer), logprobs.map(|logprobs| token_logprobs(logprobs, tokenizer)));
            wit::EventKind::Token(wit::GeneratedToken { id, bytes, text, text_offset, logprobs })
        }
        text::EventKind::Finished { reason, text, prompt_tokens, generated_tokens } => {
            let reason = finish_reason(reason);
            wit::EventKind::Finished(wit::Finished { reason, text, prompt_tokens, generated_tokens })
        }
        text::EventKind::Failed { message } => wit::EventKind::Failed(message),
    }
}

fn prompt_token(token: text::PromptToken, tokenizer: &text::Tokenizer) -> wit::PromptToken {
    let logprobs = token.logprobs.map(|logprobs| token_logprobs(logprobs, tokenizer));
    wit::PromptToken { id: token.id, bytes: bytes(token.id, tokenizer), text_offset: token.text_offset, logprobs }
}

fn token_logprobs(logprobs: text::TokenLogprobs, tokenizer: &text::Tokenizer) -> wit::TokenLogprobs {
    let top = logprobs.top.iter().map(|token| wit::TokenLogprob {
        id: token.id,
        bytes: bytes(token.id, tokenizer),
        logprob: token.logprob,
    });
    wit::TokenLogprobs { chosen: logprobs.logprob, top: top.collect() }
}

fn bytes(token: u32, tokenizer: &text::Tokenizer) -> Vec<u8> {
    tokenizer.token_bytes(token).unwrap_or_default().to_vec()
}

fn finish_reason(reason: text::FinishReason) -> wit::FinishReason {
    match reason {
        text::FinishReason::EndOfText => wit::FinishReason::EndOfText,
        text::FinishReason::Stop => wit::FinishReason::Stop,
        text::FinishReason::Length => wit::FinishReason::Length,
    }
}

pub(crate) fn stats(stats: text::Stats) -> wit::Stats {
    wit::Stats {
        running: stats.running,
        waiting: stats.waiting,
        forwards: stats.forwards,
        prompt_tokens: stats.prompt_tokens,
        shared_tokens: stats.shared_tokens,
        generated_tokens: stats.generated_tokens,
        draft_tokens: stats.draft_tokens,
        accepted_tokens: stats.accepted_tokens,
    }
}
