//! A request that goes on in another generator gives what it would have given uninterrupted,
//! wherever it was cut.

use carafe_core::text::{Prompt, Request, Sampling};

use crate::fake::{Logits, byte_token, greedy, noise, run, script};

/// Cuts a request after every token but the last, and compares what follows with the uninterrupted
/// run.
fn assert_resumable(logits: &Logits, request: &Request) {
    let whole = run(logits.clone(), request.clone());
    for cut in 0..whole.tokens.len() {
        let mut resumed = request.clone();
        resumed.resume = whole.tokens[..cut].to_vec();
        let rest = run(logits.clone(), resumed);
        assert_eq!(rest.tokens, whole.tokens[cut..], "cut after {cut}");
        assert_eq!(rest.texts, whole.texts[cut..], "cut after {cut}");
        assert_eq!(rest.finished, whole.finished, "cut after {cut}");
    }
}

#[test]
fn a_sampled_request_with_penalties_resumes_at_every_cut() {
    let mut request = Request::new(Prompt::text("the hell"), 40);
    request.ignore_eos = true;
    request.sampling = Sampling {
        temperature: 1.3,
        top_k: Some(100),
        top_p: 0.9,
        repetition_penalty: 1.2,
        frequency_penalty: 0.7,
        presence_penalty: 0.3,
        seed: 99,
        ..Sampling::default()
    };
    assert_resumable(&noise(5), &request);
}

#[test]
fn emoji_and_held_text_resume_at_every_cut() {
    let tokens = "a👋END of 日本 EN".bytes().map(byte_token).collect();
    let mut request = greedy(40);
    request.stop = vec!["EN of".to_owned(), "of 日x".to_owned()];
    request.min_tokens = 3;
    assert_resumable(&script(2, tokens), &request);
}

#[test]
fn a_stop_string_cut_in_the_middle_is_still_found() {
    let tokens: Vec<u32> = "go STOP on".bytes().map(byte_token).collect();
    let mut request = greedy(40);
    request.stop = vec!["STOP".to_owned()];
    let logits = script(2, tokens.clone());
    assert_resumable(&logits, &request);
    request.resume = tokens[..5].to_vec();
    assert_eq!(run(logits, request).texts.concat(), "");
}

#[test]
fn tokens_that_finish_the_request_cannot_be_resumed_from() {
    let refusal = |resume: Vec<u32>, stop: &str| {
        let mut request = greedy(3);
        request.stop = vec![stop.to_owned()];
        request.resume = resume;
        let mut generator = crate::fake::generator(crate::fake::Fake::new(noise(1)));
        generator.submit(request).unwrap_err().to_string()
    };
    let a = byte_token(b'a');
    let expected = |tokens: usize, last: usize| {
        format!("`resume` holds {tokens} tokens, and with token {last} of them the request is already finished")
    };
    assert_eq!(refusal(vec![a, a, a], "x"), expected(3, 3));
    assert_eq!(refusal(vec![a, 0, a], "x"), expected(3, 2));
    assert_eq!(refusal(vec![a, a], "aa"), expected(2, 2));
}
