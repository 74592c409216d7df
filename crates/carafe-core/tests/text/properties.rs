//! Random submits, cancels and failures against a plain model of what must come of them.
//!
//! The model generates each request alone, keeps all bytes and looks for stop strings in the whole
//! text: no queue, no stream, no cache. The generator must tell the same, however requests are
//! interleaved, cancelled or failed.

use std::collections::BTreeMap;

use carafe_core::text::{EventKind, FinishReason, Generator, Penalties, Prompt, Request, Sampler, Sampling, rng};
use proptest::prelude::*;

use crate::fake::{self, EOS, Fake, Logits, byte_token, model, noise, tokenizer};

/// What the caller does.
#[derive(Debug, Clone)]
enum Action {
    Submit(Box<Request>),
    Step(usize),
    /// Cancels the request with this number among those submitted, if there are as many.
    Cancel(usize),
}

/// Logits that prefer a few tokens, so that emoji, stop strings and EOS are likely.
fn lively() -> Logits {
    let noise = noise(11);
    let likely: Vec<u32> = "ab👋".bytes().map(byte_token).chain([EOS]).collect();
    std::rc::Rc::new(move |tokens| {
        let mut logits = noise(tokens);
        for &token in &likely {
            logits[token as usize] += 7.0;
        }
        logits
    })
}

/// What must come of a request that is neither cancelled nor failed: tokens, text and reason.
fn expected(logits: &Logits, request: &Request) -> (Vec<u32>, String, FinishReason) {
    let tokenizer = tokenizer();
    let Prompt::Tokens(prompt) = &request.prompt else { unreachable!("the requests below have tokens") };
    let (mut penalties, mut sampler) = (Penalties::new(prompt), Sampler::default());
    let texts = prompt.iter().filter(|&&token| token != EOS);
    let echoed: Vec<u8> = texts.flat_map(|&token| tokenizer.token_bytes(token).unwrap()).collect();
    let (mut tokens, mut bytes) = (Vec::new(), if request.echo { echoed } else { Vec::new() });
    // What of an echoed prompt is not whole comes with the output.
    let echoed = whole_characters(&bytes).len();
    loop {
        let mut logits = logits(&[prompt.as_slice(), &tokens].concat());
        let excluded = if tokens.len() < request.min_tokens as usize { &[EOS][..] } else { &[] };
        penalties.apply(&request.sampling, excluded, &mut logits);
        let key = rng::fold_in(request.sampling.seed, tokens.len() as u64);
        let token = sampler.sample(&logits, &request.sampling, key).unwrap();
        penalties.count(token);
        tokens.push(token);
        let ended = token == EOS && !request.ignore_eos;
        if token != EOS {
            bytes.extend_from_slice(&tokenizer.token_bytes(token).unwrap());
        }
        if let Some(text) = stopped(&whole_characters(&bytes)[echoed..], &request.stop) {
            return (tokens, text, FinishReason::Stop);
        }
        if ended || tokens.len() == request.max_tokens as usize {
            let text = String::from_utf8_lossy(&bytes)[echoed..].to_owned();
            let reason = if ended { FinishReason::Eos } else { FinishReason::Length };
            return match stopped(&text, &request.stop) {
                Some(text) => (tokens, text, FinishReason::Stop),
                None => (tokens, text, reason),
            };
        }
    }
}

/// The text of all bytes but those of an unfinished character at the end.
fn whole_characters(bytes: &[u8]) -> String {
    let unfinished = (1..=3.min(bytes.len())).find(|&length| {
        let tail = &bytes[bytes.len() - length..];
        std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    });
    String::from_utf8_lossy(&bytes[..bytes.len() - unfinished.unwrap_or(0)]).into_owned()
}

/// The text before the stop string that is complete first, if there is one.
fn stopped(text: &str, stops: &[String]) -> Option<String> {
    let ends = (1..=text.len()).filter(|&end| text.is_char_boundary(end));
    ends.map(|end| &text[..end])
        .find_map(|head| stops.iter().filter_map(|stop| head.strip_suffix(stop.as_str())).min_by_key(|rest| rest.len()))
        .map(str::to_owned)
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let temperature = prop_oneof![Just(0.0f32), Just(0.7), Just(1.5)];
    let penalty = prop_oneof![Just(0.0f32), -2.0f32..2.0];
    let top_k = prop::option::of(1u32..300);
    let bias = prop::collection::btree_map(0..fake::VOCABULARY_SIZE, -5.0f32..5.0, 0..3);
    (temperature, top_k, 0.1f32..=1.0, 0.0f32..0.5, 0.5f32..2.0, penalty, bias, any::<u64>()).prop_map(
        |(temperature, top_k, top_p, min_p, repetition_penalty, frequency_penalty, bias, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            frequency_penalty,
            presence_penalty: -frequency_penalty,
            logit_bias: bias.into_iter().collect(),
            seed,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let prompt = prop::collection::vec(0..fake::VOCABULARY_SIZE, 1..20);
    let stop = prop::collection::vec("[ab👋]{1,3}", 0..3);
    let logprobs = (prop::option::of(0u32..5), any::<bool>());
    (prompt, 1u32..30, sampling(), stop, any::<bool>(), 0u32..6, logprobs).prop_map(
        |(mut prompt, max_tokens, sampling, stop, ignore_eos, min_tokens, (logprobs, echo))| {
            // So that the text of the output begins with a character of its own.
            prompt.extend((!echo).then_some(byte_token(b'a')));
            Request {
                sampling,
                stop,
                ignore_eos,
                min_tokens: min_tokens.min(max_tokens),
                logprobs,
                echo,
                ..Request::new(Prompt::Tokens(prompt), max_tokens)
            }
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => request().prop_map(|request| Action::Submit(Box::new(request))),
        4 => (1usize..30).prop_map(Action::Step),
        1 => (0usize..10).prop_map(Action::Cancel),
    ]
}

/// What was emitted about one request so far.
#[derive(Debug, Default)]
struct Emitted {
    started: bool,
    tokens: Vec<u32>,
    text: String,
    reason: Option<FinishReason>,
    failed: bool,
    cancelled: bool,
}

impl Emitted {
    fn is_over(&self) -> bool {
        self.reason.is_some() || self.failed || self.cancelled
    }
}

/// Takes one step and files its events, checking their order. Requests are started in the order of
/// their ids, but for those that wait for another one's prompt.
fn step(generator: &mut Generator<Fake>, requests: &BTreeMap<u64, Request>, emitted: &mut BTreeMap<u64, Emitted>) {
    for event in generator.step() {
        let request = &requests[&event.request];
        let emitted = emitted.get_mut(&event.request).unwrap();
        assert!(!emitted.is_over(), "nothing may follow the end");
        assert_eq!(emitted.started, !matches!(event.kind, EventKind::Started { .. }), "it starts once, and first");
        match event.kind {
            EventKind::Started { .. } => emitted.started = true,
            EventKind::Prompt { .. } => assert!(request.echo && emitted.tokens.is_empty(), "the echo comes first"),
            EventKind::Token { id, text, logprobs, .. } => {
                emitted.tokens.push(id);
                emitted.text.push_str(&text);
                assert_eq!(logprobs.map(|logprobs| logprobs.top.len() as u32), request.logprobs);
            }
            EventKind::Finished { reason, text, generated_tokens, .. } => {
                emitted.text.push_str(&text);
                emitted.reason = Some(reason);
                assert_eq!(generated_tokens as usize, emitted.tokens.len());
            }
            EventKind::Failed { .. } => emitted.failed = true,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_request_gets_its_own_tokens_once_and_in_order_or_its_own_failure(
        actions in prop::collection::vec(action(), 1..25),
        failures in prop::collection::btree_set(0usize..200, 0..4),
    ) {
        let logits = lively();
        let mut fake = Fake::new(logits.clone());
        fake.failures = failures.clone();
        let log = fake.log.clone();
        let mut generator = Generator::new(fake, tokenizer(), model()).unwrap();
        let (mut requests, mut emitted) = (BTreeMap::new(), BTreeMap::<u64, Emitted>::new());
        for action in actions {
            match action {
                Action::Submit(request) => {
                    let id = generator.submit((*request).clone()).unwrap();
                    prop_assert!(requests.insert(id, *request).is_none(), "an id was given twice");
                    emitted.insert(id, Emitted::default());
                }
                Action::Step(count) => (0..count).for_each(|_| step(&mut generator, &requests, &mut emitted)),
                Action::Cancel(number) => {
                    if let Some((&id, emitted)) = emitted.iter_mut().nth(number) {
                        prop_assert_eq!(generator.cancel(id), !emitted.is_over());
                        emitted.cancelled |= !emitted.is_over();
                    }
                }
            }
        }
        for _ in 0..100_000 {
            if generator.is_idle() {
                break;
            }
            step(&mut generator, &requests, &mut emitted);
        }
        prop_assert!(generator.is_idle());
        prop_assert_eq!(generator.stats().used_blocks, 0);

        let failed = emitted.values().filter(|emitted| emitted.failed).count();
        prop_assert!(failed <= failures.iter().filter(|&&number| number < log.borrow().forwards).count());
        for (id, emitted) in &emitted {
            prop_assert!(emitted.is_over(), "request {} was lost", id);
            let (tokens, text, reason) = expected(&logits, &requests[id]);
            if emitted.reason.is_some() {
                prop_assert_eq!((&emitted.tokens, &emitted.text, emitted.reason), (&tokens, &text, Some(reason)));
            } else {
                prop_assert!(tokens.starts_with(&emitted.tokens));
                prop_assert!(text.starts_with(&emitted.text));
            }
        }
    }
}
