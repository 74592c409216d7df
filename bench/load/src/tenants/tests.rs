//! The closed loop against a small server.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Barrier, Mutex};

use super::*;
use crate::testing::{NO_KEY, NO_ROOM, serve};
use crate::words::tests::few;

const WHOLE: &str = r#"data: {"choices":[{"text":" a","finish_reason":"length"}],"usage":{"completion_tokens":1}}"#;

fn tenants(flags: &[&str]) -> Vec<Tenant> {
    flags.iter().map(|flag| flag.parse().expect("a tenant")).collect()
}

fn load<'a>(url: &'a str, words: &'a Words) -> Load<'a> {
    let server = Server { url, model: "m", text: false };
    Load { server, words, prompt_tokens: 64, new_tokens: 1, seed: 0 }
}

#[test]
fn a_tenant_is_a_key_and_a_number() {
    assert_eq!("a=b=4".parse(), Ok(Tenant { key: "a=b".to_owned(), concurrent: 4 }));
    for wrong in ["", "key", "=4", "key=", "key=0", "key=-1"] {
        assert!(wrong.parse::<Tenant>().is_err(), "{wrong}");
    }
}

#[test]
fn all_clients_of_all_tenants_send_at_once_each_with_its_key() {
    // No request is answered before three have come.
    let (all, came) = (Barrier::new(3), Arc::new(AtomicUsize::new(0)));
    let count = came.clone();
    let (url, received) = serve(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        all.wait();
        vec![WHOLE.to_owned()]
    });
    let words = few();
    let is_over = |_| came.load(Ordering::SeqCst) >= 3;
    let report = run(&load(&url, &words), &tenants(&["key-a=2", "key-b=1"]), is_over).expect("a report");
    let counts: Vec<_> = report["tenants"].as_array().expect("tenants").iter().map(answered).collect();
    assert_eq!(counts, [2, 1]);
    let mut keys: Vec<_> = received.try_iter().filter_map(|received| received.authorization).collect();
    keys.sort();
    assert_eq!(keys, ["Bearer key-a", "Bearer key-a", "Bearer key-b"]);
}

#[test]
fn a_client_sends_its_next_request_when_the_last_is_answered_and_no_prompt_twice() {
    let (came, words) = (Arc::new(AtomicUsize::new(0)), few());
    let count = came.clone();
    let (url, received) = serve(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        vec![WHOLE.to_owned()]
    });
    let is_over = |_| came.load(Ordering::SeqCst) >= 3;
    let report = run(&load(&url, &words), &tenants(&["key-a=1"]), is_over).expect("a report");
    let requests = report["tenants"][0]["requests"].as_array().expect("requests").clone();
    assert_eq!(requests.len(), 3);
    let time = |time: &Value| time.as_f64().expect("a time");
    let is_after = |pair: &[Value]| time(&pair[0]["tokens"][0]) <= time(&pair[1]["sent"]);
    assert!(requests.windows(2).all(is_after), "{requests:?}");
    let prompts: BTreeSet<String> = received.try_iter().map(|received| received.body["prompt"].to_string()).collect();
    assert_eq!(prompts.len(), 3);
}

#[test]
fn a_request_without_room_is_sent_again_and_waits_since_it_was_first_sent() {
    let (came, words) = (Arc::new(Mutex::new(Vec::new())), few());
    let times = came.clone();
    let (url, _received) = serve(move |_| {
        let mut times = times.lock().expect("a lock");
        times.push(Instant::now());
        vec![if times.len() < 3 { NO_ROOM } else { WHOLE }.to_owned()]
    });
    let start = Mutex::new(None);
    let is_over = |began| {
        *start.lock().expect("a lock") = Some(began);
        came.lock().expect("a lock").len() >= 3
    };
    let report = run(&load(&url, &words), &tenants(&["key-a=1"]), is_over).expect("a report");
    let tenant = &report["tenants"][0];
    assert_eq!((answered(tenant), tenant["refused"].as_u64()), (1, Some(2)));
    let first = came.lock().expect("a lock")[0] - start.lock().expect("a lock").expect("a start");
    assert!(tenant["requests"][0]["sent"].as_f64().expect("a time") <= first.as_secs_f64());
}

#[test]
fn a_key_that_is_refused_is_a_failure() {
    let (url, _received) = serve(|_| vec![NO_KEY.to_owned()]);
    let failure = run(&load(&url, &few()), &tenants(&["key-a=1"]), |_| false).expect_err("a failure");
    assert!(failure.to_string().contains("401"), "{failure}");
}

fn answered(tenant: &Value) -> usize {
    tenant["requests"].as_array().expect("requests").len()
}
