//! Requests that echo their prompt, and the scores of its tokens.

use std::rc::Rc;

use carafe_core::text::{FinishReason, Prompt, Request, Sampler, TextModel};

use crate::fake::{self, Fake, VOCABULARY_SIZE, byte_token, drain, greedy, noise, run};

/// A request that scores these tokens and generates nothing.
fn score(tokens: Vec<u32>) -> Request {
    Request { echo: true, logprobs: Some(2), ..Request::new(Prompt::Tokens(tokens), 0) }
}

#[test]
fn a_scored_prompt_has_the_log_probabilities_of_each_token_after_those_before() {
    let tokens: Vec<u32> = (1..=12).map(|number| number * 7 % VOCABULARY_SIZE).collect();
    let logits = noise(11);
    let outcome = run(logits.clone(), score(tokens.clone()));
    let (_, echoed) = outcome.prompt.expect("an echoed prompt");
    assert_eq!(echoed.iter().map(|token| token.id).collect::<Vec<_>>(), tokens);
    assert_eq!(echoed[0].logprobs, None);
    for (index, token) in echoed.iter().enumerate().skip(1) {
        let expected = Sampler::default().logprobs(&logits(&tokens[..index]), token.id, 2).unwrap();
        assert_eq!(token.logprobs.as_ref(), Some(&expected), "token {index}");
    }
    assert_eq!((outcome.finished, outcome.tokens.len()), (Some((FinishReason::Length, 0)), 0));
}

#[test]
fn tokens_score_the_same_when_they_are_generated_and_when_they_are_echoed() {
    let mut request = greedy(9);
    (request.logprobs, request.ignore_eos) = (Some(2), true);
    let generated = run(noise(4), request);
    let hi = [byte_token(b'h'), byte_token(b'i')];
    let (_, echoed) = run(noise(4), score([&hi, &generated.tokens[..]].concat())).prompt.unwrap();
    let scores: Vec<_> = echoed.into_iter().skip(2).flat_map(|token| token.logprobs).collect();
    assert_eq!(scores, generated.logprobs);
}

#[test]
fn steps_that_score_have_no_more_tokens_than_may_have_logits() {
    let model = TextModel { max_num_logits: 3, ..fake::model() };
    let fake = Fake { model, ..Fake::new(noise(3)) };
    let log = Rc::clone(&fake.log);
    let mut generator = fake::generator(fake);
    generator.submit(score((1..=8).collect())).unwrap();
    drain(&mut generator);
    assert_eq!(log.borrow().steps, [[3], [3], [2]]);
}

#[test]
fn an_echo_without_scores_or_tokens_needs_no_model() {
    let fake = Fake::new(noise(3));
    let log = Rc::clone(&fake.log);
    let mut generator = fake::generator(fake);
    generator.submit(Request { echo: true, ..greedy(0) }).unwrap();
    let events = drain(&mut generator);
    assert_eq!((events.len(), log.borrow().forwards), (3, 0));
}

#[test]
fn the_echo_comes_once_before_the_first_token_and_changes_none() {
    let request = Request { echo: true, ..greedy(6) };
    let (echoing, plain) = (run(noise(8), request.clone()), run(noise(8), greedy(6)));
    let (text, tokens) = echoing.prompt.clone().expect("an echoed prompt");
    assert_eq!((text.as_str(), tokens.len()), ("hi", 2));
    assert!(tokens.iter().all(|token| token.logprobs.is_none()));
    assert_eq!(echoing.tokens, plain.tokens);
    assert_eq!(plain.prompt, None);
    let resumed = Request { resume: plain.tokens[..2].to_vec(), ..request };
    assert_eq!(run(noise(8), resumed).prompt, None);
}
