//! Whose turn it is when several tenants want the model.

use std::collections::BTreeMap;

use carafe_core::text::{Event, EventKind, Generator, Request, TextModel};

use crate::fake::{Fake, drain, endless, generator_and_log, model, noise, rows};

/// A model with room for many requests, of which few share a step unless it says so.
fn wide(max_num_seqs: u32) -> TextModel {
    TextModel {
        num_blocks: 2000,
        max_num_seqs,
        max_num_batched_tokens: 64,
        max_num_logits: 64,
        draft_tokens: 0,
        ..model()
    }
}

/// A request of a tenant; the number makes its prompt one of its own.
fn of_tenant(tenant: u64, number: u32, prompt: u32, max_tokens: u32) -> Request {
    let prompt: Vec<u32> = (0..prompt).map(|place| 1 + (number * 7 + place * number + tenant as u32) % 200).collect();
    Request { tenant, ..endless(&prompt, max_tokens) }
}

/// Clients that each keep a number of requests at work.
struct Clients {
    generator: Generator<Fake>,
    /// Of each request its tenant.
    tenants: BTreeMap<u64, u64>,
    /// Tokens that were generated for each tenant.
    written: BTreeMap<u64, usize>,
    number: u32,
}

impl Clients {
    fn new(model: TextModel) -> Self {
        let (generator, _) = generator_and_log(noise(5), model);
        Self { generator, tenants: BTreeMap::new(), written: BTreeMap::new(), number: 0 }
    }

    fn submit(&mut self, tenant: u64, prompt: u32, max_tokens: u32) {
        self.number += 1;
        let id = self.generator.submit(of_tenant(tenant, self.number, prompt, max_tokens)).unwrap();
        self.tenants.insert(id, tenant);
    }

    /// Runs steps; each request that ends is followed by another.
    fn run(&mut self, steps: usize, prompt: u32, max_tokens: u32) {
        for _ in 0..steps {
            for Event { request, kind } in self.generator.step() {
                let tenant = self.tenants[&request];
                match kind {
                    EventKind::Token { .. } => *self.written.entry(tenant).or_default() += 1,
                    EventKind::Finished { .. } => self.submit(tenant, prompt, max_tokens),
                    _ => {}
                }
            }
        }
    }
}

/// Jain's index of fairness: 1 where all have the same, `1 / n` where one has everything.
fn jain(values: &BTreeMap<u64, usize>) -> f64 {
    let values = values.values().map(|&value| value as f64);
    let (count, sum, squares) = (values.len() as f64, values.clone().sum::<f64>(), values.map(|x| x * x).sum::<f64>());
    sum * sum / (count * squares)
}

#[test]
fn tenants_take_turns_and_then_it_goes_by_arrival() {
    let (mut generator, _) = generator_and_log(noise(5), wide(1));
    let ids = [(7, 1), (7, 2), (7, 3), (8, 4), (9, 5), (8, 6)]
        .map(|(tenant, number)| generator.submit(of_tenant(tenant, number, 5, 4)).unwrap());
    let started = drain(&mut generator).into_iter().filter(|event| matches!(event.kind, EventKind::Started { .. }));
    let order: Vec<u64> = started.map(|event| event.request).collect();
    assert_eq!(order, [ids[0], ids[3], ids[4], ids[1], ids[5], ids[2]]);
}

#[test]
fn places_that_are_free_at_once_go_to_tenants_in_turn() {
    let (mut generator, _) = generator_and_log(noise(5), wide(8));
    let mut tenants = BTreeMap::new();
    for tenant in 1..=4 {
        for number in 0..8 {
            let id = generator.submit(of_tenant(tenant, number * 4, 10, 50)).unwrap();
            tenants.insert(id, tenant);
        }
    }
    let started = generator.step().into_iter().filter(|event| matches!(event.kind, EventKind::Started { .. }));
    assert!(started.map(|event| tenants[&event.request]).eq([1, 2, 3, 4, 1, 2, 3, 4]));
}

#[test]
fn a_tenant_with_one_long_request_saves_up_no_turns() {
    let sizes = TextModel { context_length: 3000, num_blocks: 8000, ..wide(8) };
    let mut clients = Clients::new(sizes);
    clients.submit(2, 10, 2500);
    (0..16).for_each(|_| clients.submit(1, 10, 12));
    clients.run(1000, 10, 12);
    (0..40).for_each(|_| clients.submit(2, 10, 12));
    for hundred in 0..10 {
        clients.written.clear();
        clients.run(100, 10, 12);
        assert!(clients.written[&1] > 200, "{hundred}: {:?}", clients.written);
    }
}

#[test]
fn a_flood_of_prompts_does_not_go_before_others_who_decode() {
    let written = |floods: bool| {
        let mut clients = Clients::new(TextModel { context_length: 3000, num_blocks: 8000, ..wide(16) });
        (0..2).for_each(|_| clients.submit(2, 5, 1000));
        if floods {
            (0..32).for_each(|_| clients.submit(1, 60, 1));
        }
        let events = (0..300).flat_map(|_| {
            let events = clients.generator.step();
            let ended = events.iter().filter(|event| matches!(event.kind, EventKind::Finished { .. })).count();
            (0..ended).for_each(|_| clients.submit(1, 60, 1));
            events
        });
        let own = events.filter(|event| event.request <= 2 && matches!(event.kind, EventKind::Token { .. }));
        own.count()
    };
    assert!(written(true) * 10 >= written(false) * 9, "{} and {}", written(true), written(false));
}

#[test]
fn one_that_floods_has_no_more_tokens_than_three_that_are_modest() {
    // Few places in a step, places for all, and prompts that are longer than answers.
    for (max_num_seqs, modest, prompt, max_tokens) in [(8, 3, 10, 12), (48, 4, 10, 12), (8, 3, 40, 4), (48, 8, 30, 8)] {
        let mut clients = Clients::new(wide(max_num_seqs));
        (0..32).for_each(|_| clients.submit(1, prompt, max_tokens));
        clients.run(50, prompt, max_tokens);
        for tenant in 2..5 {
            (0..modest).for_each(|_| clients.submit(tenant, prompt, max_tokens));
        }
        clients.run(200, prompt, max_tokens);
        clients.written.clear();
        clients.run(1500, prompt, max_tokens);
        let index = jain(&clients.written);
        assert!(index >= 0.95, "{max_num_seqs} at once: {index}, {:?}", clients.written);
    }
}

#[test]
fn two_that_flood_are_held_back_like_one() {
    let mut clients = Clients::new(wide(56));
    for tenant in 1..=4 {
        (0..if tenant < 3 { 24 } else { 4 }).for_each(|_| clients.submit(tenant, 10, 12));
    }
    clients.run(200, 10, 12);
    clients.written.clear();
    clients.run(1500, 10, 12);
    assert!(jain(&clients.written) >= 0.95, "{:?}", clients.written);
}

#[test]
fn nobody_saves_up_turns_and_nobody_is_made_to_pay_for_having_been_alone() {
    let mut clients = Clients::new(wide(2));
    (0..4).for_each(|_| clients.submit(1, 10, 12));
    clients.run(1000, 10, 12);
    (0..4).for_each(|_| clients.submit(2, 10, 12));
    clients.written.clear();
    clients.run(400, 10, 12);
    assert!(jain(&clients.written) > 0.98, "{:?}", clients.written);
}

#[test]
fn a_tenant_alone_has_all_rows_and_beside_a_small_one_those_of_a_narrow_step() {
    let (mut generator, log) = generator_and_log(noise(5), wide(48));
    (0..30).for_each(|number| assert!(generator.submit(of_tenant(1, number, 4, 30)).is_ok()));
    (0..10).for_each(|_| drop(generator.step()));
    assert_eq!(rows(&log).last(), Some(&30));
    generator.submit(of_tenant(2, 99, 4, 20)).unwrap();
    (0..10).for_each(|_| drop(generator.step()));
    assert_eq!(rows(&log)[12..].iter().max(), Some(&8), "7 of the first, 1 of the second");
    drain(&mut generator);
    assert!(rows(&log)[40..].contains(&30), "the second has ended");
}
