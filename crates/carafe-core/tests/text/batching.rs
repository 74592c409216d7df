//! Many requests at once: which of them share a step, and that none of them notices the others.

use std::{cell::RefCell, rc::Rc};

use carafe_core::text::{Event, EventKind, FailureKind, Generator, Prompt, Request, Sampling, TextModel};

use crate::fake::{
    self, Fake, Log, Logits, alone, byte_token, drain, endless, generator_and_log, model, noise, rows, script, tokens,
};

#[test]
fn requests_that_come_together_share_every_step() {
    let (mut generator, log) = generator_and_log(noise(3), model());
    for start in 1..=4 {
        generator.submit(endless(&[start, 8, 9], 5)).unwrap();
    }
    drain(&mut generator);
    assert_eq!(log.borrow().steps, [[3; 4], [1; 4], [1; 4], [1; 4], [1; 4]]);
}

#[test]
fn a_request_joins_others_at_the_next_step_and_leaves_with_its_last_token() {
    let (mut generator, log) = generator_and_log(noise(3), model());
    generator.submit(endless(&[7, 8], 9)).unwrap();
    (0..3).for_each(|_| drop(generator.step()));
    generator.submit(endless(&[9], 3)).unwrap();
    drain(&mut generator);
    assert_eq!(rows(&log), [1, 1, 1, 2, 2, 2, 1, 1, 1]);
}

#[test]
fn a_request_has_the_tokens_that_it_has_alone_whenever_it_joins() {
    let logits = noise(9);
    let prompts = [vec![5, 6, 7], vec![8; 12], (20..29).collect(), vec![4]];
    for delay in 0..12 {
        let (mut generator, _) = generator_and_log(logits.clone(), model());
        let mut events = Vec::new();
        let mut ids = Vec::new();
        for prompt in &prompts {
            ids.push(generator.submit(endless(prompt, 17)).unwrap());
            (0..delay).for_each(|_| events.extend(generator.step()));
        }
        events.extend(drain(&mut generator));
        for (prompt, id) in prompts.iter().zip(ids) {
            assert_eq!(tokens(&events, id), alone(&logits, endless(prompt, 17)), "{delay} steps apart");
        }
    }
}

#[test]
fn where_prompts_queue_steps_for_them_alone_go_before_those_in_which_others_decode() {
    let wide = TextModel { num_blocks: 100, draft_tokens: 0, ..model() };
    let (mut generator, log) = generator_and_log(noise(3), wide);
    generator.submit(endless(&[7, 8], 40)).unwrap();
    generator.step();
    for start in 1..=3 {
        generator.submit(endless(&[start; 20], 1)).unwrap();
    }
    (0..8).for_each(|_| drop(generator.step()));
    // Two go first while three wait, one while two do. A step takes one chunk: a tail of 4 tokens
    // leaves no room for a chunk of 8.
    let expected: [&[usize]; 8] = [&[8], &[8], &[1, 4], &[8], &[1, 8], &[4], &[1, 8], &[1, 8]];
    assert_eq!(log.borrow().steps[1..], expected);
}

#[test]
fn while_nobody_decodes_a_step_takes_as_many_chunks_as_fit() {
    let (mut generator, log) = generator_and_log(noise(3), TextModel { draft_tokens: 0, ..model() });
    for start in 1..=3 {
        generator.submit(endless(&[start; 20], 1)).unwrap();
    }
    drain(&mut generator);
    let expected: [&[usize]; 5] = [&[8, 8], &[8, 8], &[4, 4, 8], &[8], &[4]];
    assert_eq!(log.borrow().steps, expected);
}

#[test]
fn prompts_are_cut_at_the_same_places_whatever_else_runs() {
    let (mut generator, log) = generator_and_log(noise(3), TextModel { num_blocks: 100, ..model() });
    generator.submit(endless(&[7, 8, 9], 20)).unwrap();
    generator.step();
    generator.submit(endless(&(0..30).collect::<Vec<_>>(), 2)).unwrap();
    drain(&mut generator);
    let chunks = log.borrow().steps.iter().filter_map(|step| step.get(1).copied()).collect::<Vec<_>>();
    assert_eq!(chunks[..4], [8, 8, 8, 6]);
}

#[test]
fn a_long_prompt_gets_its_turn_however_many_short_ones_come() {
    let sizes = TextModel { context_length: 600, num_blocks: 1000, ..model() };
    let wide = TextModel { max_num_seqs: 16, max_num_batched_tokens: 24, max_num_logits: 20, ..sizes };
    for delay in 0..5 {
        let (mut generator, _) = generator_and_log(noise(3), wide.clone());
        let mut long = None;
        let written = (0..200u32).find(|&call| {
            if call == 40 + delay {
                long = Some(generator.submit(endless(&(0..250).collect::<Vec<_>>(), 1)).unwrap());
            }
            if call.is_multiple_of(3) && generator.stats().waiting < 8 {
                generator.submit(endless(&vec![call % 50 + 1; 1 + call as usize % 9], 20)).unwrap();
            }
            let events = generator.step();
            long.is_some_and(|long| !tokens(&events, long).is_empty())
        });
        assert!(written.is_some(), "it was never computed");
    }
}

#[test]
fn a_request_that_decodes_has_a_token_at_every_fourth_step_whatever_comes() {
    let wide = TextModel { context_length: 600, num_blocks: 1000, draft_tokens: 0, ..model() };
    let (mut generator, _) = generator_and_log(noise(3), wide);
    let decoding = generator.submit(endless(&[7, 8], 300)).unwrap();
    let mut steps_without = 0;
    for call in 0..290u32 {
        if call.is_multiple_of(7) {
            generator.submit(endless(&vec![call % 50 + 1; 1 + call as usize], 3)).unwrap();
        }
        let written = tokens(&generator.step(), decoding).len();
        steps_without = if written == 0 { steps_without + 1 } else { 0 };
        assert!(steps_without <= 3, "call {call}");
    }
}

#[test]
fn a_failed_forward_of_a_request_that_is_alone_ends_it() {
    for failure in 0..4 {
        let mut fake = Fake::new(noise(3));
        fake.failures.insert(failure);
        let mut generator = fake::generator(fake);
        let id = generator.submit(endless(&[1, 2], 20)).unwrap();
        let events = drain(&mut generator);
        let message = "the fake model was told to fail".to_owned();
        let failed = EventKind::Failed { kind: FailureKind::ForwardPass, message };
        assert_eq!(events.last(), Some(&Event { request: id, kind: failed }));
    }
}

#[test]
fn requests_whose_step_failed_start_again_isolated_and_lose_nothing() {
    for failure in 0..8 {
        let mut fake = Fake::new(noise(3));
        fake.failures.insert(failure);
        let log = Rc::clone(&fake.log);
        let mut generator = fake::generator(fake);
        let requests = [endless(&[1, 2], 20), endless(&[3], 12), endless(&[4; 7], 15)];
        let ids = requests.clone().map(|request| generator.submit(request).unwrap());
        let events = drain(&mut generator);
        for (request, id) in requests.into_iter().zip(ids) {
            assert_eq!(tokens(&events, id), alone(&noise(3), request), "inference {failure} failed");
        }
        assert!(rows(&log)[failure + 1..].iter().all(|&rows| rows == 1), "they run isolated from then on");
        assert_eq!(log.borrow().resets, 2);
    }
}

#[test]
fn a_request_whose_every_inference_fails_ends_alone_and_the_others_lose_nothing() {
    let poison = 42;
    let mut generator = fake::generator(Fake { poison: Some(poison), ..Fake::new(noise(3)) });
    let requests = [endless(&[1, 2], 20), endless(&[3, poison], 12), endless(&[4; 7], 15)].map(|mut request| {
        request.sampling.logit_bias = vec![(poison, -100.0)];
        request
    });
    let ids = requests.clone().map(|request| generator.submit(request).unwrap());
    let events = drain(&mut generator);
    for index in [0, 2] {
        assert_eq!(tokens(&events, ids[index]), alone(&noise(3), requests[index].clone()));
    }
    let failed = events.iter().filter(|event| matches!(event.kind, EventKind::Failed { .. }));
    assert!(failed.map(|event| event.request).eq([ids[1]]));
}

#[test]
fn a_request_that_fails_wherever_it_is_ends_alone() {
    let poison = byte_token(b'!');
    let logits: Logits = Rc::new(move |tokens| {
        let mut logits = noise(3)(tokens);
        if tokens.contains(&poison) {
            logits[17] = f32::NAN;
        }
        logits
    });
    let (mut generator, _) = generator_and_log(logits, model());
    let broken = generator.submit(endless(&[poison], 20)).unwrap();
    let mut request = endless(&[1, 2], 20);
    request.sampling.logit_bias = vec![(poison, -100.0)];
    let fine = generator.submit(request).unwrap();
    let events = drain(&mut generator);
    assert!(tokens(&events, broken).is_empty());
    assert_eq!(tokens(&events, fine).len(), 20);
}

#[test]
fn drafts_change_the_steps_and_not_the_tokens() {
    let letters: Vec<u32> =
        b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc".iter().map(|&byte| byte_token(byte)).collect();
    let logits = script(3, letters[3..].to_vec());
    let run = |draft_tokens: u32| {
        let (mut generator, log) = generator_and_log(logits.clone(), TextModel { draft_tokens, ..model() });
        let mut request = Request::new(Prompt::Tokens(letters[..3].to_vec()), 45);
        request.sampling = Sampling { temperature: 0.5, ..Sampling::default() };
        let id = generator.submit(request).unwrap();
        let forwards = |log: &RefCell<Log>| log.borrow().forwards;
        (tokens(&drain(&mut generator), id), forwards(&log), generator.stats())
    };
    let (plain, plain_forwards, _) = run(0);
    let (drafted, drafted_forwards, stats) = run(3);
    assert_eq!(plain, drafted);
    assert_eq!(plain_forwards, 45);
    assert!(drafted_forwards < 20, "{drafted_forwards} inferences");
    assert!(stats.accepted_tokens > 25 && stats.draft_tokens >= stats.accepted_tokens, "{stats:?}");
}

#[test]
fn drafts_never_ask_for_a_block_that_is_not_there() {
    let letters: Vec<u32> = b"abcabcabcabcabcabcabcabcabcabcabc".iter().map(|&byte| byte_token(byte)).collect();
    for block_size in [1, 2, 4] {
        let num_blocks = 64 / block_size;
        let sizes = TextModel { block_size, num_blocks, prefill_chunk: 8, draft_tokens: 7, ..model() };
        let (mut generator, _) = generator_and_log(script(3, letters[3..].to_vec()), sizes);
        (0..4).for_each(|_| assert!(generator.submit(endless(&letters[..3], 60)).is_ok()));
        drain(&mut generator);
        assert!(generator.stats().draft_tokens > 0);
    }
}

/// A model whose step 2 fails, so that the first request, which is long, runs isolated from then on
/// beside one that came later.
fn one_isolated_and_another() -> (Generator<Fake>, [u64; 2]) {
    let sizes = TextModel { context_length: 2000, num_blocks: 8000, max_num_logits: 64, draft_tokens: 0, ..model() };
    let mut fake = Fake { model: sizes, ..Fake::new(noise(3)) };
    fake.failures.insert(2);
    let mut generator = fake::generator(fake);
    let isolated = generator.submit(endless(&[1, 2], 1500)).unwrap();
    generator.submit(endless(&[3, 2], 5)).unwrap();
    (0..30).for_each(|_| drop(generator.step()));
    let other = generator.submit(endless(&[9, 9, 9], 1000)).unwrap();
    (0..5).for_each(|_| drop(generator.step()));
    (generator, [isolated, other])
}

#[test]
fn beside_an_isolated_request_others_decode_while_prompts_queue() {
    let (mut generator, [_, other]) = one_isolated_and_another();
    for number in 0..40 {
        let prompt: Vec<u32> = (0..300).map(|place| 1 + (place * (number + 3) + number) % 200).collect();
        generator.submit(endless(&prompt, 1)).unwrap();
    }
    let mut steps_without = 0;
    for call in 0..600 {
        let written = tokens(&generator.step(), other).len();
        steps_without = if written == 0 { steps_without + 1 } else { 0 };
        assert!(steps_without <= 7, "call {call}: three steps for prompts, and isolated ones between");
    }
}

#[test]
fn beside_an_isolated_request_others_decode_whatever_comes_and_is_cancelled() {
    let (mut generator, [isolated, other]) = one_isolated_and_another();
    let mut written = [0; 2];
    for number in 0..200 {
        let new = generator.submit(endless(&[20 + number % 100, number / 100 + 1, 5], 50)).unwrap();
        let events = generator.step();
        generator.cancel(new);
        written[0] += tokens(&events, isolated).len();
        written[1] += tokens(&events, other).len();
    }
    assert_eq!(written, [100, 100]);
}
