//! What a server takes on at one time, and how it lets go: of clients that leave, of requests that
//! take too long, of itself.

use std::fs;
use std::io::Read;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use carafe_e2e::root;
use carafe_e2e::server::{Answer, BUSY, ENDLESS_TOKENS, Server, endless, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sequences that one step of `tales` can advance.
const MOST_ROWS: f64 = 64.0;

/// The most tokens that a sequence of [`long`] has.
const LONG_TOKENS: u64 = 250;

/// Seconds of work: so many sequences of 250 tokens.
fn long(sequences: u64, stream: bool) -> Value {
    json!({
        "model": "tales", "prompt": "Once upon a time", "max_tokens": LONG_TOKENS, "n": sequences,
        "ignore_eos": true, "stream": stream
    })
}

fn in_hand(server: &Server) -> Result<f64> {
    Ok(server.figure("carafe_num_requests_running{model=\"tales\"}")?
        + server.figure("carafe_num_requests_waiting{model=\"tales\"}")?)
}

fn steps(server: &Server) -> Result<f64> {
    server.figure("carafe_steps_total{model=\"tales\"}")
}

fn status_of_one_more(server: &Server) -> Result<u16> {
    let body = json!({ "model": "tales", "prompt": "a", "max_tokens": 1 });
    Ok(server.post("/v1/completions", &body)?.status)
}

#[test]
fn a_client_that_leaves_frees_its_permits_and_nothing_is_computed_for_it_any_more() -> Result<()> {
    let server = Server::start(&BUSY)?;
    for stream in [true, false] {
        let before = steps(&server)?;
        let running = server.run(&endless(stream))?;
        assert_eq!(status_of_one_more(&server)?, 429);
        drop(running);
        let used = || server.figure("carafe_kv_cache_blocks{model=\"tales\",state=\"used\"}");
        wait("the blocks to be free, though nothing runs after it", || Ok(used()? == 0.0))?;
        wait("the permits to be free", || Ok(in_hand(&server)? == 0.0 && status_of_one_more(&server)? == 200))?;
        let all = f64::from(ENDLESS_TOKENS) / MOST_ROWS;
        let computed = steps(&server)? - before;
        assert!(computed < all / 2.0, "{computed} of at least {all} steps for a client that left");
    }
    Ok(())
}

#[test]
fn a_client_that_does_not_read_loses_its_permits_when_its_time_is_up() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--queue", "16", "--request-timeout", "2"])?;
    let mut body = long(16, true);
    body["logprobs"] = json!(20);
    let unread = server.stream(&body)?;
    wait("the sequences to end", || Ok(in_hand(&server)? == 0.0))?;
    let next = || Ok(server.post("/v1/completions", &json!({ "model": "tales", "prompt": "a" }))?.status == 200);
    wait("a permit", next)?;
    drop(unread);
    Ok(())
}

/// What is answered to a request of 64 sequences whose time is up when each has begun and none has
/// ended.
fn answer_out_of_time(server: &Server, stream: bool) -> Result<Answer> {
    let mut answer = None;
    // A machine may be so fast that they end before the server can be suspended.
    wait("a request's time to be up before it ends", || {
        let tokens = || server.figure("carafe_generation_tokens_total{model=\"tales\"}");
        let waiting = || server.figure("carafe_num_requests_waiting{model=\"tales\"}");
        let before = tokens()?;
        thread::scope(|scope| {
            let request = scope.spawn(|| server.post("/v1/completions", &long(64, stream)));
            wait("all sequences to begin", || Ok(tokens()? >= before + 64.0 && waiting()? == 0.0))?;
            server.suspend(Duration::from_millis(1_500))?;
            answer = Some(request.join().ok().context("the client panicked")??);
            Ok(answer.as_ref().is_some_and(|answer| answer.body.contains("\"out_of_time\":true")))
        })
    })?;
    answer.context("there was an answer")
}

#[test]
fn a_request_whose_time_is_up_answers_with_what_there_is() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--queue", "64", "--request-timeout", "1"])?;
    let whole = answer_out_of_time(&server, false)?;
    let choices = whole.json()?["choices"].take();
    let choices = choices.as_array().context("choices are a list")?;
    assert!(choices.iter().all(|choice| choice["text"] != "" && choice["finish_reason"] == "length"), "{whole:?}");
    assert_eq!(server.log_of(&whole.headers["x-request-id"])?["finish_reason"], "timeout");
    let streamed = answer_out_of_time(&server, true)?;
    assert_eq!((whole.status, choices.len(), streamed.status), (200, 64, 200));
    assert_eq!(streamed.body.matches("\"finish_reason\":\"length\"").count(), 64);
    streamed.chunks()?;
    wait("the permits to be free", || Ok(in_hand(&server)? == 0.0))
}

#[test]
fn a_request_whose_time_is_up_before_its_first_token_is_refused() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--queue", "1008", "--request-timeout", "1"])?;
    let late = server.post("/v1/completions", &endless(false))?;
    assert_eq!((late.status, &late.json()?["error"]["code"]), (504, &json!("timeout")));
    let late = server.post("/v1/completions", &endless(true))?;
    assert!(late.body.contains("\"code\":\"timeout\""), "{late:?}");
    Ok(())
}

#[test]
fn the_queue_is_counted_in_sequences_and_refuses_at_once() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--queue", "1023", "--request-timeout", "3600"])?;
    let _running = server.run(&endless(false))?;
    let ask = |prompts: usize| {
        let body = json!({ "model": "tales", "prompt": vec!["a"; prompts], "n": 16, "max_tokens": 1 });
        server.post("/v1/completions", &body)
    };
    // 1008 permits are taken, and 15 are free.
    let refused = ask(1)?;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (429, "1"));
    assert_eq!(refused.json()?["error"]["code"], "queue_full");
    let impossible = ask(64)?;
    assert_eq!((impossible.status, &impossible.json()?["error"]["param"]), (400, &json!("n")));
    Ok(())
}

#[test]
fn requests_at_one_time_give_what_each_gives_alone() -> Result<()> {
    // In `fast` a rounding may flip in a crowd; `batching` says how rarely.
    let server = Server::start(&["--model", "tales", "--profile", "exact"])?;
    let body = |seed: u64| json!({ "model": "tales", "prompt": "The fox", "max_tokens": 24, "seed": seed });
    let text = |seed: u64| -> Result<Value> {
        Ok(server.post("/v1/completions", &body(seed))?.json()?["choices"][0]["text"].clone())
    };
    let alone = (0..8).map(text).collect::<Result<Vec<_>>>()?;
    let together = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || text(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Ok(Value::Null))).collect::<Result<Vec<_>>>()
    })?;
    assert_eq!(together, alone);
    Ok(())
}

#[test]
fn a_server_in_the_profile_latency_says_so_and_gives_one_request_the_same_text_again() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--profile", "latency"])?;
    let body = json!({ "model": "tales", "prompt": "The fox", "max_tokens": 24, "seed": 3, "top_p": 0.9 });
    let [first, again] =
        [server.post("/v1/completions", &body)?.json()?, server.post("/v1/completions", &body)?.json()?];
    assert_eq!(first["carafe"]["profile"], "latency");
    assert_eq!(first["choices"], again["choices"]);
    let long = server.post("/v1/completions", &json!({ "model": "tales", "prompt": "The fox ".repeat(60), "n": 3 }))?;
    assert_eq!(long.json()?["choices"].as_array().map(Vec::len), Some(3));
    Ok(())
}

#[test]
fn what_runs_at_the_end_of_the_drain_is_cut_off_in_words() -> Result<()> {
    let mut server = Server::start(&[&BUSY[..], &["--drain", "0"]].concat())?;
    let running = server.run(&endless(true))?;
    server.terminate()?;
    let rest = running.finish()?;
    ensure!(rest.contains("\"code\":\"draining\"") && rest.contains("data: [DONE]"), "it ends so: {rest}");
    assert_eq!(server.ended()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_server_that_drains_finishes_what_runs_and_takes_nothing_new() -> Result<()> {
    let mut server = Server::start(&["--model", "tales", "--drain", "3600"])?;
    let mut connection = server.stream(&long(8, true))?;
    server.terminate()?;
    wait("new connections to be refused", || Ok(server.get("/healthz").is_err()))?;
    let mut rest = String::new();
    connection.read_to_string(&mut rest)?;
    assert_eq!(rest.matches("\"finish_reason\":\"length\"").count(), 8);
    assert!(rest.contains("data: [DONE]"));
    assert_eq!(server.ended()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_request_that_makes_the_guest_trap_fails_alone() -> Result<()> {
    // Scoring so many positions at once takes more memory than this guest may have.
    // In `exact`, where load changes no token.
    let server = Server::start(&["--model", "tales", "--guest-memory", "8", "--profile", "exact"])?;
    let greedy =
        || json!({ "model": "tales", "prompt": "The fox", "max_tokens": 200, "temperature": 0, "ignore_eos": true });
    let alone = server.post("/v1/completions", &greedy())?.json()?["choices"][0]["text"].clone();
    let heavy = json!({ "model": "tales", "prompt": vec![7; 200], "max_tokens": 0, "echo": true, "logprobs": 1 });
    let (beside, failed) = thread::scope(|scope| {
        let beside = scope.spawn(|| server.post("/v1/completions", &greedy()));
        let failed = server.post("/v1/completions", &heavy);
        (beside.join().ok().transpose(), failed)
    });
    let failed = failed?;
    assert_eq!((failed.status, &failed.json()?["error"]["code"]), (500, &json!("sandbox_failed")), "{}", failed.body);
    let line = server.log_of(&failed.headers["x-request-id"])?;
    assert!(line["error"].as_str().is_some_and(|error| error.contains("--guest-memory")), "{line}");
    assert_eq!(
        beside?.map(|answer| answer.json()).transpose()?.map(|body| body["choices"][0]["text"].clone()),
        Some(alone)
    );
    assert!(server.figure("carafe_guest_replacements_total{model=\"tales\"}")? >= 1.0);
    Ok(())
}

/// The tiny model with a bias that is NaN.
fn broken_model() -> Result<TempDir> {
    const BIAS: std::ops::Range<usize> = 54_640..54_896;
    let place = TempDir::new()?;
    let (from, to) = (root().join("fixtures/models/tiny"), place.path().join("broken"));
    fs::create_dir(&to)?;
    for name in ["certificate.json", "model.xml", "tokenizer.json"] {
        fs::copy(from.join(name), to.join(name))?;
    }
    let mut weights = fs::read(from.join("model.bin"))?;
    weights[BIAS].fill(0xff);
    fs::write(to.join("model.bin"), weights)?;
    let manifest = fs::read_to_string(from.join("model.toml"))?;
    fs::write(to.join("model.toml"), manifest.replace("name = \"tiny\"", "name = \"broken\""))?;
    Ok(place)
}

#[test]
fn a_model_whose_logits_are_no_numbers_is_named_and_not_asked_again() -> Result<()> {
    let place = broken_model()?;
    let place = place.path().to_str().context("a path in UTF-8")?;
    let server = Server::start(&["--models", place, "--model", "broken"])?;
    let failed = server.post("/v1/completions", &json!({ "prompt": [7, 8], "max_tokens": 4 }))?;
    assert_eq!((failed.status, &failed.json()?["error"]["code"]), (500, &json!("invalid_logits")), "{}", failed.body);
    assert_eq!(failed.headers["x-should-retry"], "false");
    Ok(())
}
