//! What a request may ask for: every limit holds at its edge, and its error names parameter, limit
//! and value.

use std::rc::Rc;

use carafe_core::text::{
    EventKind, FinishReason, Generator, MAX_WAITING, ModelError, Prompt, Request, RequestErrorCode, TextModel,
};

use crate::fake::{self, Fake, greedy, model, noise, tokenizer};

/// The error and the parameter that are named when `change` was made to a request that is in order.
fn refusal(change: impl FnOnce(&mut Request)) -> (String, Option<String>) {
    let mut request = greedy(4);
    change(&mut request);
    let error = request.validate(&model(), &tokenizer()).unwrap_err();
    (error.to_string(), error.parameter().map(str::to_owned))
}

/// Asserts that a request is in order after `change`.
fn assert_valid(change: impl FnOnce(&mut Request)) {
    let mut request = greedy(4);
    change(&mut request);
    let valid = request.validate(&model(), &tokenizer());
    assert!(valid.is_ok(), "{valid:?}");
}

#[test]
fn an_empty_prompt_is_refused() {
    for prompt in [Prompt::text(""), Prompt::Tokens(Vec::new())] {
        let (message, parameter) = refusal(|request| request.prompt = prompt);
        assert_eq!(
            (message.as_str(), parameter.as_deref()),
            ("`prompt` is empty; it must hold at least 1 token", Some("prompt"))
        );
    }
}

#[test]
fn a_prompt_and_output_beyond_the_context_are_refused() {
    let prompt = || Prompt::Tokens(vec![1; 60]);
    assert_valid(|request| request.prompt = prompt());
    let (message, parameter) = refusal(|request| {
        request.prompt = prompt();
        request.max_tokens = 5;
    });
    let expected = "This model's maximum context length is 64 tokens; `prompt` has 60 and `max_tokens` is 5; \
                    the largest `max_tokens` that fits is 4";
    assert_eq!((message.as_str(), parameter.as_deref()), (expected, Some("max_tokens")));
    let (message, _) = refusal(|request| request.max_tokens = u32::MAX);
    assert!(message.contains("`max_tokens` is 4294967295"), "{message}");
}

#[test]
fn a_prompt_longer_than_the_context_is_at_fault_itself_whatever_is_asked_for() {
    for (max_tokens, asked) in [(0, ""), (5, " and `max_tokens` is 5")] {
        let (message, parameter) = refusal(|request| {
            request.prompt = Prompt::Tokens(vec![1; 65]);
            request.max_tokens = max_tokens;
        });
        let expected = format!(
            "This model's maximum context length is 64 tokens; `prompt` has 65{asked}; no `max_tokens` fits, shorten `prompt`"
        );
        assert_eq!((message, parameter.as_deref()), (expected, Some("prompt")));
    }
}

#[test]
fn a_default_of_max_tokens_gives_way_to_the_room_and_to_min_tokens() {
    for (prompt_tokens, min_tokens, generated) in [(10, 0, 16), (60, 0, 4), (64, 0, 0), (10, 20, 20), (60, 4, 4)] {
        let mut request = Request::new(Prompt::Tokens(vec![1; prompt_tokens]), 16);
        (request.max_tokens_is_default, request.min_tokens) = (true, min_tokens);
        let mut generator = fake::generator(Fake::new(noise(1)));
        request.ignore_eos = true;
        generator.submit(request).unwrap();
        let events = std::iter::from_fn(|| (!generator.is_idle()).then(|| generator.step())).flatten();
        let tokens = events.filter(|event| matches!(event.kind, EventKind::Token { .. })).count();
        assert_eq!(tokens, generated, "{prompt_tokens} {min_tokens}");
    }
}

#[test]
fn min_tokens_without_max_tokens_are_refused_where_they_do_not_fit() {
    let (message, parameter) = refusal(|request| {
        request.prompt = Prompt::Tokens(vec![1; 60]);
        (request.max_tokens_is_default, request.min_tokens) = (true, 5);
    });
    let expected = "This model's maximum context length is 64 tokens; `prompt` has 60 and `min_tokens` is 5; \
                    the largest `max_tokens` that fits is 4";
    assert_eq!((message.as_str(), parameter.as_deref()), (expected, Some("min_tokens")));
}

#[test]
fn a_text_beyond_the_context_has_one_code_whatever_its_length() {
    for (length, tokens) in [(833, "at least 65"), (4 << 20, "at least 322639")] {
        let mut request = greedy(4);
        request.prompt = Prompt::text("a".repeat(length));
        let error = request.validate(&model(), &tokenizer()).unwrap_err();
        assert_eq!(error.code(), RequestErrorCode::ContextLengthExceeded);
        let expected = format!(
            "This model's maximum context length is 64 tokens; `prompt` has {tokens}; no `max_tokens` fits, shorten `prompt`"
        );
        assert_eq!((error.to_string(), error.parameter()), (expected, Some("prompt")));
    }
    let mut request = greedy(4);
    request.prompt = Prompt::text("a".repeat(100));
    let error = request.validate(&model(), &tokenizer()).unwrap_err();
    assert_eq!(error.code(), RequestErrorCode::ContextLengthExceeded);
}

#[test]
fn zero_max_tokens_without_echo_give_an_end_and_no_text() {
    for logprobs in [None, Some(3)] {
        let mut generator = fake::generator(Fake::new(noise(1)));
        generator.submit(Request { logprobs, ..Request::new(Prompt::Tokens(vec![1, 2]), 0) }).unwrap();
        let kinds: Vec<_> = generator.step().into_iter().map(|event| event.kind).collect();
        let (reason, text, reasoning) = (FinishReason::Length, String::new(), String::new());
        let finished = EventKind::Finished { reason, text, reasoning, prompt_tokens: 2, generated_tokens: 0 };
        assert_eq!(kinds, [EventKind::Started { prompt_tokens: 2, cached_tokens: 0 }, finished]);
        assert_eq!((generator.is_idle(), generator.stats().num_forward_passes), (true, 0));
    }
}

#[test]
fn more_min_tokens_than_max_tokens_are_refused() {
    assert_valid(|request| request.min_tokens = 4);
    let (message, parameter) = refusal(|request| request.min_tokens = 5);
    assert_eq!(message, "`min_tokens` is 5; it must be at most `max_tokens`, 4");
    assert_eq!(parameter.as_deref(), Some("min_tokens"));
}

#[test]
fn tokens_outside_the_vocabulary_are_refused_wherever_they_are_named() {
    let (message, parameter) = refusal(|request| request.prompt = Prompt::Tokens(vec![262, 263]));
    assert_eq!(message, "`prompt` names token 263; the model's tokens are below 263");
    assert_eq!(parameter.as_deref(), Some("prompt"));
    let (message, _) = refusal(|request| request.resume = vec![u32::MAX]);
    assert_eq!(message, "`resume` names token 4294967295; the model's tokens are below 263");
    let (message, _) = refusal(|request| request.sampling.logit_bias = vec![(263, 0.0)]);
    assert_eq!(message, "`logit_bias` names token 263; the model's tokens are below 263");
}

#[test]
fn every_number_is_held_to_its_range() {
    /// Name, range, how to set it, values inside and values outside.
    type Case = (&'static str, &'static str, fn(&mut Request, f32), &'static [f32], &'static [f32]);
    const BEYOND_1: f32 = 1.0 + f32::EPSILON;
    let cases: [Case; 7] = [
        ("temperature", "0 to 2", |r, v| r.sampling.temperature = v, &[0.0, 1e-45, 2.0], &[-0.1, 2.1]),
        ("top_p", "0 to 1", |r, v| r.sampling.top_p = v, &[0.0, 1e-45, 1.0], &[-1e-45, -1.0, BEYOND_1]),
        ("min_p", "at least 0 and below 1", |r, v| r.sampling.min_p = v, &[0.0, 0.999], &[-0.1, 1.0]),
        (
            "repetition_penalty",
            "above 0 and finite",
            |r, v| r.sampling.repetition_penalty = v,
            &[1e-3, 9.0],
            &[0.0, -1.0],
        ),
        ("frequency_penalty", "-2 to 2", |r, v| r.sampling.frequency_penalty = v, &[-2.0, 2.0], &[-2.1, 2.1]),
        ("presence_penalty", "-2 to 2", |r, v| r.sampling.presence_penalty = v, &[-2.0, 2.0], &[-2.1, 2.1]),
        ("logit_bias", "-100 to 100", |r, v| r.sampling.logit_bias = vec![(7, v)], &[-100.0, 100.0], &[-100.1, 100.1]),
    ];
    for (parameter, range, set, good, bad) in cases {
        for &value in good {
            assert_valid(|request| set(request, value));
        }
        for &value in bad.iter().chain(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]) {
            let refused = refusal(|request| set(request, value));
            assert_eq!(refused, (format!("`{parameter}` must be {range}, got {value}"), Some(parameter.to_owned())));
        }
    }
}

#[test]
fn a_top_k_of_zero_is_refused_and_one_beyond_the_vocabulary_keeps_all() {
    assert_valid(|request| request.sampling.top_k = Some(u32::MAX));
    let (message, parameter) = refusal(|request| request.sampling.top_k = Some(0));
    assert_eq!(message, "`top_k` is 0; it must be at least 1, or absent to keep every token");
    assert_eq!(parameter.as_deref(), Some("top_k"));
}

#[test]
fn a_bias_twice_is_refused() {
    let (message, _) = refusal(|request| request.sampling.logit_bias = vec![(7, 1.0), (8, 1.0), (7, 2.0)]);
    assert_eq!(message, "`logit_bias` names token 7 twice");
}

#[test]
fn more_biases_than_allowed_are_refused() {
    let (message, _) = refusal(|request| request.sampling.logit_bias = (0..1025).map(|id| (id, 1.0)).collect());
    assert_eq!(message, "`logit_bias` names 1025 tokens; at most 1024 are allowed");
}

#[test]
fn stop_strings_are_held_to_their_number_and_length() {
    assert_valid(|request| request.stop = vec!["a".repeat(256); 4]);
    let (message, parameter) = refusal(|request| request.stop = vec!["a".to_owned(); 5]);
    assert_eq!((message.as_str(), parameter.as_deref()), ("`stop` has 5 strings; at most 4 are allowed", Some("stop")));
    let (message, _) = refusal(|request| request.stop = vec!["a".to_owned(), String::new()]);
    assert_eq!(message, "`stop` string 1 is empty");
    let (message, _) = refusal(|request| request.stop = vec!["é".repeat(129)]);
    assert_eq!(message, "`stop` string 0 has 258 bytes; at most 256 are allowed");
}

#[test]
fn more_logprobs_than_allowed_are_refused() {
    assert_valid(|request| request.logprobs = Some(20));
    let (message, parameter) = refusal(|request| request.logprobs = Some(21));
    assert_eq!((message.as_str(), parameter.as_deref()), ("`logprobs` is 21; it must be at most 20", Some("logprobs")));
}

#[test]
fn a_full_queue_refuses_until_a_request_leaves_it() {
    let mut generator = fake::generator(Fake::new(noise(1)));
    for _ in 0..MAX_WAITING {
        generator.submit(greedy(1)).unwrap();
    }
    let error = generator.submit(greedy(1)).unwrap_err();
    assert_eq!(error.to_string(), "1024 requests are waiting already; no more are taken until one is done");
    assert_eq!(error.parameter(), None);
    generator.step();
    assert!(generator.submit(greedy(1)).is_ok());
}

/// A model whose vocabulary is filled up to 270, and whose favourites are ids without a token.
fn filled_up() -> Fake {
    let logits = |_: &[u32]| (0..270).map(|id: u32| if id >= 263 { 50.0 } else { (id % 7) as f32 }).collect();
    Fake { model: TextModel { vocabulary_size: 270, ..model() }, ..Fake::new(Rc::new(logits)) }
}

#[test]
fn ids_without_a_token_are_never_chosen_and_not_among_the_most_probable() {
    for temperature in [0.0, 2.0] {
        let mut request = Request { logprobs: Some(20), ignore_eos: true, ..greedy(20) };
        request.sampling.temperature = temperature;
        let mut generator = fake::generator(filled_up());
        generator.submit(request).unwrap();
        for event in fake::drain(&mut generator) {
            if let EventKind::Token { id, logprobs, .. } = event.kind {
                let best = logprobs.unwrap().top[0];
                assert!(id < 263 && best.id < 263 && best.logprob > -5.0, "{id} {best:?}");
            }
        }
    }
}

#[test]
fn ids_without_a_token_are_refused_wherever_a_request_names_them() {
    let mut biased = greedy(1);
    biased.sampling.logit_bias = vec![(265, 1.0)];
    let prompt = Request::new(Prompt::Tokens(vec![265]), 1);
    let resume = Request { resume: vec![265], ..greedy(2) };
    for (request, parameter) in [(biased, "logit_bias"), (prompt, "prompt"), (resume, "resume")] {
        let error = fake::generator(filled_up()).submit(request).unwrap_err();
        let expected = format!("`{parameter}` names token 265; the tokenizer has no token with this id");
        assert_eq!((error.to_string(), error.parameter()), (expected, Some(parameter)));
    }
}

#[test]
fn a_model_that_does_not_fit_its_tokenizer_is_refused() {
    let error = |model| Generator::new(Fake::new(noise(1)), tokenizer(), model).map(|_| ()).unwrap_err();
    let smaller = TextModel { vocabulary_size: 262, ..model() };
    assert_eq!(error(smaller), ModelError::Vocabulary { model: 262, tokenizer: 263 });
    let outside = TextModel { eos_token_ids: vec![0, 263], ..model() };
    assert_eq!(error(outside), ModelError::EosToken { id: 263, vocabulary_size: 263 });
    let uneven = TextModel { prefill_chunk: 6, ..model() };
    assert_eq!(error(uneven), ModelError::Chunk { prefill_chunk: 6, block_size: 4 });
    let small = TextModel { num_blocks: 15, ..model() };
    assert_eq!(error(small), ModelError::Cache { num_blocks: 15, block_size: 4, context_length: 64 });
    let narrow = TextModel { max_num_batched_tokens: 11, ..model() };
    let message = "the model's `max_num_batched_tokens` must be 12 to 2147483647, got 11";
    assert_eq!(error(narrow).to_string(), message);
    for broken in [
        TextModel { prefill_chunk: 0, ..model() },
        TextModel { block_size: 0, ..model() },
        TextModel { num_blocks: 0, ..model() },
        TextModel { max_num_logits: 0, ..model() },
        TextModel { max_num_seqs: 0, ..model() },
        TextModel { context_length: 0, ..model() },
        TextModel { vocabulary_size: 0, ..model() },
    ] {
        assert!(matches!(error(broken), ModelError::Size { value: 0, .. }));
    }
}

#[test]
fn a_refused_request_leaves_no_trace() {
    let logits = noise(1);
    let mut generator = fake::generator(Fake::new(Rc::clone(&logits)));
    assert!(generator.submit(greedy(65)).is_err());
    assert!(generator.is_idle());
    assert_eq!(generator.submit(greedy(1)).ok(), Some(1));
}
