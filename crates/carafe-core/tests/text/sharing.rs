//! Blocks that several requests refer to, one after the other too, and what happens where there are
//! too few of them.

use std::collections::BTreeSet;

use carafe_core::text::{EventKind, Generator, ModelError, PrefixSharing, Prompt, Request, Stats, TextModel};
use proptest::prelude::*;

use crate::fake::{self, Fake, Logits, alone, drain, endless, generator_and_log, model, noise, rows, tokens};

/// How many tokens of its prompt each request found, in the order in which they were let in.
fn cached_tokens(generator: &mut Generator<Fake>) -> Vec<u32> {
    let started = drain(generator).into_iter().filter_map(|event| match event.kind {
        EventKind::Started { cached_tokens, .. } => Some(cached_tokens),
        _ => None,
    });
    started.collect()
}

/// Runs a request to its end, and says how many tokens of its prompt it found.
fn found(generator: &mut Generator<Fake>, request: Request) -> u32 {
    generator.submit(request).unwrap();
    cached_tokens(generator)[0]
}

#[test]
fn full_blocks_of_a_prompt_that_another_request_computes_are_shared() {
    let prompt: Vec<u32> = (100..130).collect();
    let (mut generator, log) = generator_and_log(noise(4), model());
    let requests = [1u64, 2, 3].map(|seed| {
        let mut request = endless(&prompt, 6);
        request.sampling.seed = seed;
        request
    });
    let ids = requests.clone().map(|request| generator.submit(request).unwrap());
    let events = drain(&mut generator);
    let Stats { prompt_tokens, prefix_cache_queries, prefix_cache_hits, .. } = generator.stats();
    assert_eq!((prompt_tokens, prefix_cache_hits), (30 + 2 + 2, 28 + 28), "7 full blocks of 4");
    assert_eq!(prefix_cache_queries, 3 * 30);
    assert!(rows(&log).contains(&3));
    for (request, id) in requests.into_iter().zip(ids) {
        assert_eq!(tokens(&events, id), alone(&noise(4), request));
    }
}

#[test]
fn a_request_may_share_what_another_has_generated() {
    let first = endless(&(100..120).collect::<Vec<_>>(), 20);
    let written = alone(&noise(4), first.clone());
    let (mut generator, _) = generator_and_log(noise(4), model());
    generator.submit(first).unwrap();
    (0..20).for_each(|_| drop(generator.step()));
    let second = endless(&[(100..120).collect(), written[..9].to_vec(), vec![3, 4]].concat(), 7);
    let id = generator.submit(second.clone()).unwrap();
    let events = drain(&mut generator);
    assert_eq!(tokens(&events, id), alone(&noise(4), second));
    assert_eq!(generator.stats().prefix_cache_hits, 28);
}

#[test]
fn blocks_of_a_request_that_has_ended_are_found_by_those_that_begin_like_it() {
    let (mut generator, _) = generator_and_log(noise(4), model());
    let first = endless(&(100..110).collect::<Vec<_>>(), 9);
    let answer = alone(&noise(4), first.clone());
    assert_eq!(found(&mut generator, first.clone()), 0);
    assert_eq!(found(&mut generator, first), 8);
    let second_turn = endless(&[(100..110).collect(), answer, vec![7, 8, 9]].concat(), 5);
    let id = generator.submit(second_turn.clone()).unwrap();
    let events = drain(&mut generator);
    let started = EventKind::Started { prompt_tokens: 22, cached_tokens: 16 };
    assert_eq!(events[0].kind, started, "18 of the tokens were computed, 16 of them in full blocks");
    assert_eq!(tokens(&events, id), alone(&noise(4), second_turn));
    let Stats { used_blocks, cached_blocks, .. } = generator.stats();
    assert_eq!((used_blocks, cached_blocks), (0, 4 + 2));
}

#[test]
fn a_request_that_ends_with_its_first_token_leaves_its_prompt() {
    let (mut generator, _) = generator_and_log(noise(4), model());
    let prompt: Vec<u32> = (100..130).collect();
    assert_eq!(found(&mut generator, endless(&prompt, 1)), 0);
    assert_eq!(found(&mut generator, endless(&prompt, 1)), 28);
    let unread = Request { logprobs: None, echo: true, ..endless(&[prompt, vec![1; 9]].concat(), 0) };
    generator.submit(unread).unwrap();
    assert_eq!(cached_tokens(&mut generator), [0], "nothing is computed of it");
}

#[test]
fn choices_of_one_token_wait_for_their_prompt_once() {
    let sizes = TextModel {
        prefill_chunk: 32,
        max_num_batched_tokens: 64,
        max_num_logits: 16,
        max_num_seqs: 8,
        num_blocks: 200,
        ..model()
    };
    let (mut generator, log) = generator_and_log(noise(4), sizes);
    for seed in 0..8 {
        let mut request = endless(&(100..130).collect::<Vec<_>>(), 1);
        request.sampling.seed = seed;
        generator.submit(request).unwrap();
    }
    drain(&mut generator);
    assert_eq!(log.borrow().steps, [vec![30], vec![2; 7]]);
}

#[test]
fn a_scored_prompt_is_found_by_nobody_before_and_after_it_was_scored() {
    let (mut generator, _) = generator_and_log(noise(4), model());
    let prompt: Vec<u32> = (100..130).collect();
    let scored = Request { tenant: 5, echo: true, logprobs: Some(1), ..endless(&prompt, 5) };
    assert_eq!(found(&mut generator, scored), 0);
    for tenant in [5, 6, 0] {
        assert_eq!(found(&mut generator, Request { tenant, ..endless(&prompt, 5) }), 0);
    }
}

#[test]
fn the_identical_prompt_of_another_tenant_finds_nothing_unless_all_share() {
    let prompt: Vec<u32> = (100..130).collect();
    let of_tenant = |tenant| Request { tenant, ..endless(&prompt, 2) };
    for (prefix_sharing, expected) in
        [(PrefixSharing::Off, [0; 4]), (PrefixSharing::Tenant, [0, 0, 28, 28]), (PrefixSharing::All, [0, 28, 28, 28])]
    {
        let (mut generator, _) = generator_and_log(noise(4), TextModel { prefix_sharing, ..model() });
        let in_turn = [1, 2, 1, 2].map(|tenant| found(&mut generator, of_tenant(tenant)));
        assert_eq!(in_turn, expected, "{prefix_sharing:?}, one after the other");
        let (mut generator, _) = generator_and_log(noise(4), TextModel { prefix_sharing, ..model() });
        [1, 2, 1, 2].iter().for_each(|&tenant| assert!(generator.submit(of_tenant(tenant)).is_ok()));
        let mut together = cached_tokens(&mut generator);
        together.sort_unstable();
        assert_eq!(together, expected, "{prefix_sharing:?}, all at once");
    }
}

#[test]
fn a_request_without_prefix_cache_finds_nothing_and_leaves_nothing() {
    let (mut generator, _) = generator_and_log(noise(4), model());
    let request = endless(&(100..130).collect::<Vec<_>>(), 2);
    let cold = Request { prefix_cache: false, ..request.clone() };
    assert_eq!(found(&mut generator, cold.clone()), 0);
    assert_eq!(found(&mut generator, request.clone()), 0);
    assert_eq!(found(&mut generator, cold), 0);
    assert_eq!(found(&mut generator, request), 28);
}

#[test]
fn the_least_recently_used_blocks_make_room() {
    let (mut generator, _) = generator_and_log(noise(4), TextModel { num_blocks: 16, ..model() });
    // Six full blocks each, and one that is not full.
    let requests = [1u32, 2, 3].map(|first| endless(&(first * 30..first * 30 + 25).collect::<Vec<_>>(), 2));
    requests.iter().for_each(|request| assert_eq!(found(&mut generator, request.clone()), 0));
    assert_eq!(found(&mut generator, requests[2].clone()), 24);
    assert_eq!(found(&mut generator, requests[1].clone()), 24);
    assert!(found(&mut generator, requests[0].clone()) < 24, "there is no room for three");
    assert_eq!(found(&mut generator, requests[1].clone()), 24, "it was used since the third");
}

#[test]
fn where_blocks_run_out_the_request_that_came_last_gives_way_and_finds_its_own_blocks_again() {
    let small = TextModel { num_blocks: 16, draft_tokens: 0, ..model() };
    let (mut generator, log) = generator_and_log(noise(3), small);
    let requests = [1, 2, 3].map(|start| endless(&[start; 5], 30));
    let ids = requests.clone().map(|request| generator.submit(request).unwrap());
    let events = drain(&mut generator);
    for (request, id) in requests.into_iter().zip(ids) {
        assert_eq!(tokens(&events, id), alone(&noise(3), request));
    }
    let started = events.iter().filter(|event| matches!(event.kind, EventKind::Started { .. }));
    assert!(started.map(|event| event.request).eq(ids), "each starts once");
    let last_tokens = ids.map(|id| events.iter().rposition(|event| event.request == id).unwrap());
    assert!(last_tokens.is_sorted(), "who came first is done first");
    let Stats { preemptions, prompt_tokens, .. } = generator.stats();
    assert!(preemptions >= 2, "9 blocks each, of 16");
    assert!(prompt_tokens < 3 * 5 + 5 * preemptions, "full blocks of prompts were found again");
    assert!(rows(&log).iter().sum::<usize>() < 3 * 30 + 15, "few tokens were computed twice");
}

#[test]
fn a_cache_that_cannot_hold_one_context_is_refused_and_so_is_what_no_context_holds() {
    let sizes = TextModel { num_blocks: 15, ..model() };
    let refused = Generator::new(Fake::new(noise(1)), fake::tokenizer(), sizes).err();
    assert_eq!(refused, Some(ModelError::Cache { num_blocks: 15, block_size: 4, context_length: 64 }));
    let (mut generator, _) = generator_and_log(noise(1), TextModel { num_blocks: 16, ..model() });
    assert!(generator.submit(endless(&[1; 60], 5)).is_err(), "65 tokens");
    generator.submit(endless(&[1; 60], 4)).unwrap();
    assert_eq!(drain(&mut generator).len(), 6);
}

/// Requests that begin alike, so that blocks are found.
fn alike() -> impl Strategy<Value = Request> {
    let prompt = (0usize..5, prop::collection::vec(1u32..4, 1..25)).prop_map(|(common, rest)| {
        let common: Vec<u32> = (50..50 + 6 * common as u32).collect();
        [common, rest].concat()
    });
    (prompt, 1u32..16, any::<u64>(), 0u64..3, any::<[bool; 3]>()).prop_map(
        |(prompt, max_tokens, seed, tenant, [prefix_cache, echo, scored])| {
            let mut request = endless(&prompt, max_tokens.min(64 - prompt.len() as u32));
            request.sampling.seed = seed;
            let logprobs = scored.then_some(1);
            Request { tenant, prefix_cache: prefix_cache || seed % 4 > 0, echo, logprobs, ..request }
        },
    )
}

/// A request, the steps that follow it, and the number of a request that is cancelled then.
type Arrival = (Request, usize, Option<usize>);

/// What became of a request.
struct Outcome {
    tokens: Vec<u32>,
    /// How many tokens of its prompt were found.
    found: usize,
    is_whole: bool,
}

/// What became of the requests, all of which must come to their ends.
fn run_all(generator: &mut Generator<Fake>, arrivals: &[Arrival]) -> Vec<Outcome> {
    let mut events = Vec::new();
    let mut ids = Vec::new();
    for (request, steps, cancelled) in arrivals {
        ids.push(generator.submit(request.clone()).unwrap());
        (0..*steps).for_each(|_| events.extend(generator.step()));
        if let Some(&id) = cancelled.and_then(|number| ids.get(number)) {
            generator.cancel(id);
        }
    }
    events.extend(drain(generator));
    let outcome = |id| {
        let mut own = events.iter().filter(|event| event.request == id).map(|event| &event.kind);
        let found = own.clone().find_map(|kind| match kind {
            EventKind::Started { cached_tokens, .. } => Some(*cached_tokens as usize),
            _ => None,
        });
        let is_whole = own.any(|kind| matches!(kind, EventKind::Finished { .. }));
        Outcome { tokens: tokens(&events, id), found: found.unwrap_or_default(), is_whole }
    };
    ids.into_iter().map(outcome).collect()
}

/// The prompt of a request.
fn prompt(request: &Request) -> &[u32] {
    let Prompt::Tokens(tokens) = &request.prompt else { unreachable!("these requests have tokens") };
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn hits_and_preemptions_change_no_token_and_all_requests_end_however_small_the_cache(
        arrivals in prop::collection::vec((alike(), 0usize..12, prop::option::weighted(0.2, 0usize..30)), 1..30),
        num_blocks in 16u32..26,
        sharing in prop::sample::select(vec![PrefixSharing::Off, PrefixSharing::Tenant, PrefixSharing::All]),
        failures in prop::collection::btree_set(20usize..60, 0..2),
    ) {
        let logits: Logits = noise(8);
        let model = TextModel { num_blocks, prefix_sharing: sharing, max_num_seqs: 6, ..model() };
        let fails = !failures.is_empty();
        let fake = Fake { model, failures, ..Fake::new(logits.clone()) };
        let mut generator = fake::generator(fake);
        let outcomes = run_all(&mut generator, &arrivals);
        let all: Vec<(&Request, &Outcome)> = arrivals.iter().map(|(request, ..)| request).zip(&outcomes).collect();
        let cancelled = arrivals.iter().filter_map(|(.., cancelled)| *cancelled).collect::<BTreeSet<_>>();
        for (number, &(request, outcome)) in all.iter().enumerate() {
            let cold = alone(&logits, Request { prefix_cache: false, ..request.clone() });
            prop_assert!(cold.starts_with(&outcome.tokens));
            prop_assert!(outcome.tokens == cold || !outcome.is_whole);
            prop_assert!(outcome.is_whole || fails || cancelled.contains(&number), "request {} was lost", number);
            let in_reach = |other: &Request| {
                other.prefix_cache && (other.tenant == request.tenant || sharing == PrefixSharing::All)
            };
            let had_it = all.iter().enumerate().any(|(other, &(of, had))| {
                let texts = [prompt(of), &had.tokens].concat();
                other != number && in_reach(of) && texts.starts_with(&prompt(request)[..outcome.found])
            });
            prop_assert!(outcome.found == 0 || request.prefix_cache && had_it, "{} tokens of nobody", outcome.found);
        }
        let stats = generator.stats();
        prop_assert_eq!((stats.running, stats.waiting, stats.used_blocks), (0, 0, 0));
        prop_assert!(stats.prefix_cache_hits <= stats.prefix_cache_queries);
        prop_assert!(sharing != PrefixSharing::Off || stats.prefix_cache_queries + u64::from(stats.cached_blocks) == 0);
    }
}
