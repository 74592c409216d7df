//! What a server refuses, and how it says so.

use std::fs;

use anyhow::Result;
use carafe_e2e::server::{Answer, Server};
use carafe_e2e::{carafe, root};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Status, param and code of an error; its id must be that of the header.
fn refusal(answer: &Answer) -> Result<(u16, Value, Value)> {
    let error = answer.json()?["error"].clone();
    assert_eq!(error["request_id"], answer.headers["x-request-id"]);
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    Ok((answer.status, error["param"].clone(), error["code"].clone()))
}

#[test]
fn every_impossible_field_is_refused_by_its_name() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let null = Value::Null;
    let many: Vec<String> = (0..5).map(|number| format!("stop {number}")).collect();
    let cases = [
        (json!({ "promt": "a" }), 400, json!("promt"), json!("unknown_field")),
        (json!({ "n": 129 }), 400, json!("n"), null.clone()),
        (json!({ "n": 65 }), 400, json!("n"), null.clone()),
        (json!({ "best_of": 21 }), 400, json!("best_of"), null.clone()),
        (json!({ "n": "2" }), 400, json!("n"), null.clone()),
        (json!({ "n": 3, "best_of": 2 }), 400, json!("best_of"), null.clone()),
        (json!({ "best_of": 2, "stream": true }), 400, json!("best_of"), null.clone()),
        (json!({ "temperature": 2.1 }), 400, json!("temperature"), null.clone()),
        (json!({ "top_p": -0.1 }), 400, json!("top_p"), null.clone()),
        (json!({ "top_k": -2 }), 400, json!("top_k"), null.clone()),
        (json!({ "min_p": 1 }), 400, json!("min_p"), null.clone()),
        (json!({ "presence_penalty": -3 }), 400, json!("presence_penalty"), null.clone()),
        (json!({ "frequency_penalty": 3 }), 400, json!("frequency_penalty"), null.clone()),
        (json!({ "repetition_penalty": 0 }), 400, json!("repetition_penalty"), null.clone()),
        (json!({ "logprobs": 21 }), 400, json!("logprobs"), null.clone()),
        (json!({ "logit_bias": { "x": 1 } }), 400, json!("logit_bias"), null.clone()),
        (json!({ "logit_bias": { "1": 101 } }), 400, json!("logit_bias"), null.clone()),
        (json!({ "stop": many }), 400, json!("stop"), null.clone()),
        (json!({ "seed": 1.5 }), 400, json!("seed"), null.clone()),
        (json!({ "max_tokens": 4, "min_tokens": 5 }), 400, json!("min_tokens"), null.clone()),
        (json!({ "min_tokens": 64 }), 400, json!("min_tokens"), json!("context_length_exceeded")),
        (json!({ "prompt": vec![7; 65] }), 400, json!("prompt"), json!("context_length_exceeded")),
        (json!({ "max_tokens": 64 }), 400, json!("max_tokens"), json!("context_length_exceeded")),
        (json!({ "suffix": "end" }), 400, json!("suffix"), json!("unsupported")),
        (json!({ "stream_options": { "include_usage": true } }), 400, json!("stream_options"), null.clone()),
        (json!({ "store": true }), 400, json!("store"), json!("unsupported")),
        (json!({ "response_format": { "type": "json_object" } }), 400, json!("response_format"), json!("unsupported")),
        (json!({ "prompt": [] }), 400, json!("prompt"), null.clone()),
        (json!({ "prompt": [512] }), 400, json!("prompt"), null.clone()),
        (json!({ "prompt": vec!["a"; 65] }), 400, json!("prompt"), null.clone()),
        (json!({ "model": "gpt-9" }), 404, json!("model"), json!("model_not_found")),
    ];
    for (fields, status, param, code) in cases {
        let mut body = json!({ "model": "tiny", "prompt": "a" });
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        assert_eq!(refusal(&server.post("/v1/completions", &body)?)?, (status, param, code), "{fields}");
    }
    Ok(())
}

#[test]
fn routes_methods_types_and_sizes_are_refused_in_the_same_shape() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let folder = TempDir::new()?;
    let large = folder.path().join("large.json");
    fs::write(&large, " ".repeat(5 << 20))?;
    let large = format!("@{}", large.display());
    let json_type = "Content-Type: application/json";
    let cases: [(&str, &[&str], u16, Value); 6] = [
        ("/v2/completions", &[], 404, json!("not_found")),
        ("/v1/completions", &[], 405, json!("method_not_allowed")),
        ("/v1/completions", &["-H", "Content-Type: text/plain", "-d", "{}"], 415, json!("unsupported_media_type")),
        ("/v1/completions", &["-H", json_type, "--data-binary", &large], 413, json!("body_too_large")),
        ("/v1/completions", &["-H", json_type, "-d", "{"], 400, Value::Null),
        ("/v1/chat/completions", &["-H", json_type, "-d", "{}"], 400, json!("unsupported")),
    ];
    for (path, options, status, code) in cases {
        let (got, _, got_code) = refusal(&server.curl(path, options)?)?;
        assert_eq!((got, got_code), (status, code), "{path} {options:?}");
    }
    assert_eq!(server.get("/v1/completions")?.headers["allow"], "POST");
    Ok(())
}

#[test]
fn the_id_of_a_request_is_in_its_error_its_header_and_the_log() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let answer = server.curl("/v1/models/none", &["-H", "X-Request-Id: my-own.id_7"])?;
    assert_eq!(answer.headers["x-request-id"], "my-own.id_7");
    assert_eq!(refusal(&answer)?.0, 404);
    let line = server.log_of("my-own.id_7")?;
    assert_eq!((&line["status"], &line["route"]), (&json!(404), &json!("/v1/models/{id}")));
    let forged = server.curl("/v1/models/none", &["-H", "X-Request-Id: a b\"c"])?;
    assert!(forged.headers["x-request-id"].starts_with("req-"), "an id that is not plain is not taken over");
    Ok(())
}

#[test]
fn the_log_has_tokens_times_and_reason_but_no_prompt_unless_it_is_asked_to() -> Result<()> {
    let body = json!({ "model": "tiny", "prompt": "my secret", "max_tokens": 3, "ignore_eos": true });
    for (flags, logged) in [(&["--model", "tiny"][..], false), (&["--model", "tiny", "--log-prompts"], true)] {
        let server = Server::start(flags)?;
        let answer = server.post("/v1/completions", &body)?;
        let line = server.log_of(&answer.headers["x-request-id"])?;
        assert_eq!((&line["completion_tokens"], &line["finish_reason"]), (&json!(3), &json!("length")));
        assert!(line["first_token_ms"].as_f64() < line["total_ms"].as_f64(), "{line}");
        assert_eq!(server.log().concat().contains("my secret"), logged);
    }
    Ok(())
}

#[test]
fn other_peoples_pages_may_use_the_server_only_where_they_are_allowed() -> Result<()> {
    let server = Server::start(&["--model", "tiny", "--cors-origin", "https://friend.example"])?;
    let ask = |origin: &str| {
        let origin = format!("Origin: {origin}");
        server.curl("/infer?max_tokens=2", &["-H", &origin, "-H", "Content-Type: text/plain", "-d", "a"])
    };
    assert_eq!(refusal(&ask("https://stranger.example")?)?.2, "forbidden_origin");
    let friend = ask("https://friend.example")?;
    assert_eq!(
        (friend.status, friend.headers["access-control-allow-origin"].as_str()),
        (200, "https://friend.example")
    );
    let own = ask(server.url())?;
    assert_eq!((own.status, own.headers.get("access-control-allow-origin")), (200, None));
    Ok(())
}

#[test]
fn the_configuration_is_printed_and_what_is_not_known_is_refused() -> Result<()> {
    let mut shown = carafe(&["serve", "--print-config", "--queue", "7"])?;
    let output = shown.env("CARAFE_QUEUE", "8").env("CARAFE_REQUEST_TIMEOUT", "9").output()?;
    let configuration: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&configuration["queue"], &configuration["request_timeout_seconds"]), (&json!(7), &json!(9)));
    let refused = |name: &str, value: &str| -> Result<String> {
        let output = carafe(&["serve", "--print-config"])?.env(name, value).output()?;
        assert!(!output.status.success(), "{name}={value}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(refused("CARAFE_QEUE", "8")?.contains("CARAFE_QEUE"));
    assert!(refused("CARAFE_PORT", "70000")?.contains("--port"));
    assert!(refused("CARAFE_QUEUE", "2000")?.contains("1 to 1024"));
    assert!(refused("CARAFE_BODY_MEMORY", "8")?.contains("32..=4096"));
    assert!(refused("CARAFE_IMAGE_WORKERS", "65")?.contains("1 to 64"));
    assert!(refused("CARAFE_CORS_ORIGIN", "*")?.contains("no origin"));
    let keys = root().join("fixtures/README.md");
    assert!(refused("CARAFE_API_KEY_FILE", &keys.to_string_lossy())?.contains("line 2"));
    Ok(())
}
