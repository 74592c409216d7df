//! Several keys on one server: what each may use, and that no key is in another's way.

use std::fs;

use anyhow::{Context as _, Result};
use carafe_e2e::server::{Server, endless, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

const FIRST: &str = "first-key-0123456789";
const SECOND: &str = "second-key-0123456789";

/// With two keys, each has a part of 256 permits, and so 768 at most.
const QUEUE: &str = "1024";
const PART: usize = 256;
const MOST: usize = 768;

/// A server of `tales` with two keys, the first with these limits, and its folder of keys.
fn start(limits: &str, flags: &[&str]) -> Result<(Server, TempDir)> {
    let folder = TempDir::new()?;
    let keys = folder.path().join("keys");
    fs::write(&keys, format!("{FIRST} {limits}\n{SECOND}\n"))?;
    let keys = keys.to_str().context("a path in UTF-8")?;
    let own = ["--model", "tales", "--queue", QUEUE, "--request-timeout", "3600", "--api-key-file", keys];
    Ok((Server::start(&[&own[..], flags].concat())?, folder))
}

/// Minutes of work: this many sequences, a multiple of 16.
fn flood(sequences: usize) -> Value {
    let mut body = endless(true);
    body["prompt"] = json!(vec!["Once upon a time"; sequences / 16]);
    body
}

fn one_token() -> Value {
    json!({ "model": "tales", "prompt": "a", "max_tokens": 1 })
}

/// Waits until a key's request is answered again.
fn wait_for_room(server: &Server, key: &str) -> Result<()> {
    wait("room for the key", || Ok(server.post_as(key, "/v1/completions", &one_token())?.status == 200))
}

#[test]
fn a_key_beyond_its_sequences_is_refused_by_name_until_its_client_leaves_and_others_are_not() -> Result<()> {
    let (server, _keys) = start("sequences=752", &[])?;
    let running = server.run_as(FIRST, &flood(752))?;
    let refused = server.post_as(FIRST, "/v1/completions", &one_token())?;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (429, "1"));
    let error = refused.json()?["error"].clone();
    assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_error"), &json!("rate_limit_exceeded")));
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("limit `sequences` is 752, of which 752 run or wait"), "{message}");

    let line = server.log_of(&refused.headers["x-request-id"])?;
    assert_eq!((&line["key"], &line["error"]), (&json!(1), &json!("rate_limit_exceeded: sequences")));

    let impossible = server.post_as(FIRST, "/v1/completions", &flood(768))?;
    assert_eq!((impossible.status, &impossible.json()?["error"]["param"]), (400, &json!("n")));
    assert!(impossible.body.contains("this key's limit `sequences` is 752"), "{}", impossible.body);

    let (_other, answer) = server.stream_as(SECOND, &flood(16))?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(running);
    wait_for_room(&server, FIRST)
}

#[test]
fn a_key_whose_tokens_are_used_up_is_told_when_to_come_again_and_others_are_not_concerned() -> Result<()> {
    let (server, _keys) = start("tokens_per_minute=1", &[])?;
    let body = json!({ "model": "tales", "prompt": "Once upon a time", "max_tokens": 16, "ignore_eos": true });
    let answered = server.post_as(FIRST, "/v1/completions", &body)?;
    assert_eq!(answered.status, 200, "there is a token; what runs may overdraw it");
    let refused = server.post_as(FIRST, "/v1/completions", &body)?;
    for answer in [&answered, &refused] {
        let header = |name: &str| answer.headers.get(name).map(String::as_str);
        assert_eq!(header("x-ratelimit-limit-tokens"), Some("1"));
        assert_eq!(header("x-ratelimit-remaining-tokens"), Some("0"));
        assert!(header("x-ratelimit-reset-tokens").is_some_and(|reset| reset.ends_with('s')), "{:?}", answer.headers);
    }
    assert_eq!((refused.status, &refused.json()?["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    assert!(refused.body.contains("limit `tokens_per_minute` is 1, and "), "{}", refused.body);
    assert!(refused.headers["retry-after"].parse::<u64>()? > 0);
    let other = server.post_as(SECOND, "/v1/completions", &body)?;
    assert_eq!((other.status, other.headers.get("x-ratelimit-limit-tokens")), (200, None));
    Ok(())
}

#[test]
fn a_key_that_floods_a_model_leaves_the_other_its_part_of_the_permits() -> Result<()> {
    let (server, _keys) = start("", &[])?;
    let too_many = server.post_as(FIRST, "/v1/completions", &flood(MOST + 16))?;
    assert_eq!((too_many.status, &too_many.json()?["error"]["param"]), (400, &json!("n")));
    assert!(too_many.body.contains("256 that are kept for other keys"), "{}", too_many.body);

    let running = server.run_as(FIRST, &flood(MOST))?;
    let refused = server.post_as(FIRST, "/v1/completions", &one_token())?;
    assert_eq!((refused.status, &refused.json()?["error"]["code"]), (429, &json!("queue_full")));
    assert!(refused.body.contains("fewer are free for this key"), "{}", refused.body);
    let (_part, answer) = server.stream_as(SECOND, &flood(PART))?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.post_as(SECOND, "/v1/completions", &one_token())?.status, 429, "its part is used");
    drop(running);
    wait_for_room(&server, FIRST)
}

#[test]
fn the_log_says_that_keys_share_prefixes() -> Result<()> {
    let (server, _keys) = start("", &["--share-prefixes"])?;
    let words = "prefixes of prompts are shared between keys";
    wait("the line in the log", || Ok(server.log().iter().any(|line| line.contains(words))))
}
