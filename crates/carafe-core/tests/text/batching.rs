//! Many requests in one batch: who is in it, and that nobody notices the others.

use std::{cell::RefCell, rc::Rc};

use carafe_core::text::{Event, EventKind, Generator, MAX_BATCHES, Prompt, Request, Sampling, Stats, TextModel};

use crate::fake::{self, Fake, Log, Logits, byte_token, drain, model, noise, script};

/// A request that writes on to its `max_tokens`.
fn endless(prompt: &[u32], max_tokens: u32) -> Request {
    let mut request = Request::new(Prompt::Tokens(prompt.to_vec()), max_tokens);
    request.ignore_end_of_text = true;
    request.sampling = Sampling { seed: prompt.len() as u64, ..Sampling::default() };
    request
}

/// The tokens that events give a request.
fn tokens(events: &[Event], request: u64) -> Vec<u32> {
    let own = events.iter().filter(|event| event.request == request);
    own.filter_map(|event| match event.kind {
        EventKind::Token { id, .. } => Some(id),
        _ => None,
    })
    .collect()
}

/// The tokens of a request that is alone in the world.
fn alone(logits: &Logits, request: Request) -> Vec<u32> {
    fake::run(logits.clone(), request).tokens
}

fn generator_and_log(logits: Logits, model: TextModel) -> (Generator<Fake>, Rc<RefCell<Log>>) {
    let fake = Fake { model, ..Fake::new(logits) };
    let log = Rc::clone(&fake.log);
    (fake::generator(fake), log)
}

#[test]
fn requests_that_come_together_are_read_and_written_together() {
    let (mut generator, log) = generator_and_log(noise(3), model());
    for _ in 0..4 {
        generator.submit(endless(&[7, 8, 9], 5)).unwrap();
    }
    drain(&mut generator);
    assert_eq!(log.borrow().rows, [1, 4, 4, 4, 4, 4]);
    assert_eq!(log.borrow().lengths, [1, 3, 1, 1, 1, 1]);
}

#[test]
fn a_request_joins_others_at_the_next_step_and_leaves_with_its_last_token() {
    let (mut generator, log) = generator_and_log(noise(3), model());
    generator.submit(endless(&[7, 8], 9)).unwrap();
    (0..3).for_each(|_| drop(generator.step()));
    generator.submit(endless(&[9], 3)).unwrap();
    drain(&mut generator);
    assert_eq!(log.borrow().rows, [1, 1, 1, 2, 2, 2, 1, 1, 1, 1]);
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
fn a_prompt_that_another_request_has_read_is_not_read_again() {
    let prompt: Vec<u32> = (100..130).collect();
    let (mut generator, log) = generator_and_log(noise(4), TextModel { max_positions: 300, ..model() });
    let requests = [1u64, 2, 3].map(|seed| {
        let mut request = endless(&prompt, 6);
        request.sampling.seed = seed;
        request
    });
    let ids = requests.clone().map(|request| generator.submit(request).unwrap());
    let events = drain(&mut generator);
    let Stats { prompt_tokens, shared_tokens, .. } = generator.stats();
    assert_eq!((prompt_tokens, shared_tokens), (32, 58), "all but each one's last token");
    assert!(log.borrow().rows.contains(&3));
    for (request, id) in requests.into_iter().zip(ids) {
        assert_eq!(tokens(&events, id), alone(&noise(4), request));
    }
}

#[test]
fn a_request_may_share_what_another_has_written() {
    let first = endless(&(100..120).collect::<Vec<_>>(), 20);
    let written = alone(&noise(4), first.clone());
    let (mut generator, _) = generator_and_log(noise(4), model());
    generator.submit(first).unwrap();
    (0..20).for_each(|_| drop(generator.step()));
    let second = endless(&[(100..120).collect(), written[..9].to_vec(), vec![3, 4]].concat(), 7);
    let id = generator.submit(second.clone()).unwrap();
    let events = drain(&mut generator);
    assert_eq!(tokens(&events, id), alone(&noise(4), second));
    assert_eq!(generator.stats().shared_tokens, 29);
}

#[test]
fn a_long_prompt_is_read_in_a_context_of_its_own_while_others_write() {
    let wide = TextModel { context_length: 600, max_positions: 4000, draft_tokens: 0, ..model() };
    let (mut generator, log) = generator_and_log(noise(3), wide);
    for start in 1..4 {
        generator.submit(endless(&[start; 2], 100)).unwrap();
    }
    (0..4).for_each(|_| drop(generator.step()));
    let prompt: Vec<u32> = (0..200).collect();
    let long = generator.submit(endless(&prompt, 1)).unwrap();
    let mut steps = 0;
    while generator.step().iter().all(|event| event.request != long || !matches!(event.kind, EventKind::Token { .. })) {
        assert_eq!(log.borrow().open, 2);
        steps += 1;
    }
    // The dummy and 40 pieces of 5 tokens, in turn with the others.
    assert!((80..=84).contains(&steps), "{steps} steps");
}

#[test]
fn prompts_of_any_lengths_that_come_together_are_read_without_holes_and_end_together() {
    let wide = TextModel { context_length: 600, max_positions: 4000, draft_tokens: 0, ..model() };
    let (mut generator, log) = generator_and_log(noise(3), wide);
    let ids = [60u32, 41, 13].map(|length| {
        let prompt: Vec<u32> = (length..2 * length).collect();
        generator.submit(endless(&prompt, 2)).unwrap()
    });
    let events = drain(&mut generator);
    let Log { rows, lengths, .. } = &*log.borrow();
    let positions: usize = rows.iter().zip(lengths).map(|(rows, length)| rows * length).sum();
    assert_eq!(positions, 1 + 60 + 41 + 13 + 3, "the dummy, the prompts, and one more token each");
    assert!(ids.iter().all(|&id| tokens(&events, id).len() == 2));
}

#[test]
fn a_long_prompt_gets_its_turn_however_many_short_ones_come() {
    let wide = TextModel { context_length: 600, max_positions: 4000, max_batch: 16, ..model() };
    for delay in 0..5 {
        let (mut generator, _) = generator_and_log(noise(3), wide.clone());
        let mut long = None;
        let written = (0..600u32).find(|&call| {
            if call == 40 + delay {
                long = Some(generator.submit(endless(&(0..250).collect::<Vec<_>>(), 1)).unwrap());
            }
            if call.is_multiple_of(3) && generator.stats().waiting < 8 {
                generator.submit(endless(&vec![call % 50 + 1; 1 + call as usize % 9], 20)).unwrap();
            }
            let events = generator.step();
            long.is_some_and(|long| !tokens(&events, long).is_empty())
        });
        assert!(written.is_some(), "it was never read");
    }
}

#[test]
fn whoever_writes_waits_at_most_for_a_step_of_each_other_context_whatever_comes() {
    let wide = TextModel { context_length: 600, max_positions: 4000, draft_tokens: 0, ..model() };
    let (mut generator, _) = generator_and_log(noise(3), wide);
    let writer = generator.submit(endless(&[7, 8], 300)).unwrap();
    (0..2).for_each(|_| drop(generator.step()));
    let mut since = 0;
    for call in 0..290u32 {
        if call.is_multiple_of(7) {
            generator.submit(endless(&vec![call % 50 + 1; 1 + call as usize], 3)).unwrap();
        }
        let has_token = !tokens(&generator.step(), writer).is_empty();
        since = if has_token { 0 } else { since + 1 };
        assert!(since < MAX_BATCHES, "nothing for {since} calls");
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
        let failed = EventKind::Failed { message: "the fake model was told to fail".to_owned() };
        assert_eq!(events.last(), Some(&Event { request: id, kind: failed }));
    }
}

#[test]
fn requests_whose_batch_failed_start_again_alone_and_lose_nothing() {
    for failure in 0..8 {
        let mut fake = Fake::new(noise(3));
        fake.failures.insert(failure);
        let log = Rc::clone(&fake.log);
        let mut generator = fake::generator(fake);
        let requests = [endless(&[1, 2], 20), endless(&[3], 12), endless(&[4; 9], 15)];
        let ids = requests.clone().map(|request| generator.submit(request).unwrap());
        let events = drain(&mut generator);
        for (request, id) in requests.into_iter().zip(ids) {
            assert_eq!(tokens(&events, id), alone(&noise(3), request), "forward {failure} failed");
        }
        assert!(log.borrow().rows[failure + 1..].iter().all(|&rows| rows == 1), "they run alone from then on");
    }
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
fn guesses_change_the_steps_and_not_the_tokens() {
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
    let (guessed, guessed_forwards, stats) = run(3);
    assert_eq!(plain, guessed);
    assert_eq!(plain_forwards, 46);
    assert!(guessed_forwards < 20, "{guessed_forwards} forwards");
    assert!(stats.accepted_tokens > 25 && stats.draft_tokens >= stats.accepted_tokens, "{stats:?}");
}
