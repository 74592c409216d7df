//! The order of steps and events.

use std::rc::Rc;

use carafe_core::text::{
    Event, EventKind, FailureKind, FinishReason, Prompt, Reasoning, ReasoningTags, Request, Stats,
};

use crate::fake::{self, Fake, byte_token, drain, greedy, noise, script};

/// The events of `request` among others, without log-probabilities.
fn kinds(events: &[Event], request: u64) -> Vec<&EventKind> {
    events.iter().filter(|event| event.request == request).map(|event| &event.kind).collect()
}

#[test]
fn a_prompt_is_computed_in_chunks_then_the_output_token_by_token() {
    let fake = Fake::new(noise(3));
    let log = Rc::clone(&fake.log);
    let mut generator = fake::generator(fake);
    let prompt = Prompt::Tokens((1..=18).collect());
    let mut request = Request::new(prompt, 3);
    request.ignore_eos = true;
    generator.submit(request).unwrap();
    drain(&mut generator);
    assert_eq!(log.borrow().steps, [[8], [8], [2], [1], [1]]);
}

#[test]
fn a_call_of_step_runs_one_forward_and_an_idle_one_none() {
    let fake = Fake::new(noise(3));
    let log = Rc::clone(&fake.log);
    let mut generator = fake::generator(fake);
    assert_eq!(generator.step(), []);
    generator.submit(greedy(3)).unwrap();
    generator.submit(greedy(3)).unwrap();
    let mut steps = 0;
    while !generator.is_idle() {
        generator.step();
        steps += 1;
        assert_eq!(log.borrow().forwards, steps);
    }
    assert_eq!(generator.step(), []);
}

#[test]
fn the_first_event_counts_the_prompt_and_the_last_all_tokens() {
    let mut generator = fake::generator(Fake::new(script(2, vec![byte_token(b'x')])));
    let id = generator.submit(greedy(9)).unwrap();
    let events = drain(&mut generator);
    let kinds = kinds(&events, id);
    assert_eq!(kinds.first(), Some(&&EventKind::Started { prompt_tokens: 2, cached_tokens: 0 }));
    let (text, reasoning) = (String::new(), String::new());
    let finished =
        EventKind::Finished { reason: FinishReason::Eos, text, reasoning, prompt_tokens: 2, generated_tokens: 2 };
    assert_eq!(kinds.last(), Some(&&finished));
}

#[test]
fn blocks_are_freed_with_their_request() {
    let mut generator = fake::generator(Fake::new(noise(3)));
    for _ in 0..3 {
        generator.submit(greedy(2)).unwrap();
    }
    generator.step();
    assert_eq!(generator.stats().used_blocks, 3);
    drain(&mut generator);
    assert_eq!(generator.stats().used_blocks, 0);
}

#[test]
fn a_cancelled_request_has_no_further_event_and_the_next_one_runs() {
    let mut generator = fake::generator(Fake::new(noise(3)));
    let running = generator.submit(greedy(30)).unwrap();
    generator.step();
    let waiting = generator.submit(greedy(30)).unwrap();
    assert!(generator.cancel(running));
    assert_eq!(generator.stats().used_blocks, 0);
    let last = generator.submit(greedy(2)).unwrap();
    assert!(generator.cancel(waiting));
    assert!(!generator.cancel(waiting));
    let events = drain(&mut generator);
    assert!(events.iter().all(|event| event.request == last));
    assert!(matches!(kinds(&events, last).last(), Some(EventKind::Finished { .. })));
    assert!(!generator.cancel(last));
}

#[test]
fn a_logit_that_is_no_number_fails_the_request_and_not_the_generator() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let logits = move |tokens: &[u32]| {
            let mut logits = noise(3)(tokens);
            if tokens[0] == byte_token(b'h') {
                logits[17] = value;
            }
            logits
        };
        let mut generator = fake::generator(Fake::new(Rc::new(logits)));
        let broken = generator.submit(greedy(5)).unwrap();
        let mut request = greedy(5);
        request.prompt = Prompt::text("x");
        let fine = generator.submit(request).unwrap();
        let events = drain(&mut generator);
        let message = format!("the logit of token 17 is `{value}`; every logit must be a finite number");
        assert_eq!(kinds(&events, broken).last(), Some(&&EventKind::Failed { kind: FailureKind::Logits, message }));
        assert!(matches!(kinds(&events, fine).last(), Some(EventKind::Finished { .. })));
    }
}

#[test]
fn logits_of_the_wrong_size_fail_the_request() {
    let mut generator = fake::generator(Fake::new(Rc::new(|_: &[u32]| vec![0.0; 7])));
    let id = generator.submit(greedy(5)).unwrap();
    let events = drain(&mut generator);
    let kind = FailureKind::ForwardPass;
    let failed = EventKind::Failed { kind, message: "the model returned 7 logits instead of 1 x 263".to_owned() };
    assert_eq!(kinds(&events, id).last(), Some(&&failed));
}

#[test]
fn log_probabilities_are_the_models_own_before_penalties() {
    let mut request = greedy(2);
    request.logprobs = Some(2);
    request.sampling.logit_bias = vec![(byte_token(b'x'), -100.0), (byte_token(b'y'), 50.0)];
    let mut generator = fake::generator(Fake::new(script(2, vec![byte_token(b'x'), byte_token(b'x')])));
    generator.submit(request).unwrap();
    let events = drain(&mut generator);
    let EventKind::Token { id, logprobs: Some(logprobs), .. } = &events[1].kind else {
        panic!("no log-probabilities in {events:?}");
    };
    // One token has logit 10, the other 262 have 0.
    let normaliser = (10f64.exp() + 262.0).ln();
    assert_eq!(*id, byte_token(b'y'));
    assert!((f64::from(logprobs.logprob) + normaliser).abs() < 1e-5);
    let top: Vec<u32> = logprobs.top.iter().map(|alternative| alternative.id).collect();
    assert_eq!(top, [byte_token(b'x'), 0]);
    assert!((f64::from(logprobs.top[0].logprob) - 10.0 + normaliser).abs() < 1e-5);
}

#[test]
fn the_stats_count_what_was_done() {
    let mut generator = fake::generator(Fake::new(script(2, vec![byte_token(b'x')])));
    generator.submit(greedy(9)).unwrap();
    generator.submit(greedy(9)).unwrap();
    assert_eq!(generator.stats(), Stats { waiting: 2, ..Stats::default() });
    generator.step();
    let begun = Stats {
        running: 2,
        used_blocks: 2,
        num_forward_passes: 1,
        scheduled_requests: 2,
        prompt_tokens: 4,
        prefix_cache_queries: 4,
        generated_tokens: 2,
        ..Stats::default()
    };
    assert_eq!(generator.stats(), begun);
    drain(&mut generator);
    let done = Stats {
        num_forward_passes: 2,
        scheduled_requests: 4,
        prompt_tokens: 4,
        prefix_cache_queries: 4,
        generated_tokens: 4,
        ..Stats::default()
    };
    assert_eq!(generator.stats(), done);
}

#[test]
fn reasoning_comes_apart_from_the_text_and_stop_strings_end_either() {
    let output = "<think>why not</think> yes. no";
    let outcome = |reasoning, stop: &[&str]| {
        let mut request = greedy(30);
        (request.reasoning, request.stop) = (reasoning, stop.iter().map(|stop| (*stop).to_owned()).collect());
        let outcome = fake::run(script(2, output.bytes().map(byte_token).collect()), request);
        (outcome.reasoning, outcome.texts.concat())
    };
    let marks = |is_open| {
        let (start, end) = ("<think>".to_owned(), "</think>".to_owned());
        Reasoning::Tagged(ReasoningTags { start, end, is_open })
    };
    assert_eq!(outcome(Reasoning::InText, &[]), (String::new(), output.to_owned()));
    assert_eq!(outcome(marks(false), &[]), ("why not".to_owned(), "yes. no".to_owned()));
    assert_eq!(outcome(marks(false), &["."]), ("why not".to_owned(), "yes".to_owned()));
    assert_eq!(outcome(marks(true), &["not"]), ("<think>why ".to_owned(), String::new()));
}
