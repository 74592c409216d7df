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
        ("/v1/chat/completions", &["-H", json_type, "-d", "{\"messages\": []}"], 400, json!("unsupported")),
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
        let refused = server.post("/v1/completions", &json!({ "model": "tiny", "stop": { "my": "other secret" } }))?;
        let line = server.log_of(&refused.headers["x-request-id"])?;
        assert_eq!((&line["error"], &line["param"]), (&json!("invalid_request_error"), &json!("stop")));
        assert_eq!(line["error_message"].is_string(), logged, "{line}");
    }
    Ok(())
}

/// Sent in every place that a client can write to; the log holds it nowhere.
const CANARY: &str = "canary7f3a";

/// Bodies of completions with the canary in each place.
fn marked_bodies() -> Vec<String> {
    let model = |fields: &str| format!("{{\"model\": \"tiny\", {fields}}}");
    let mut bodies: Vec<String> =
        ["prompt", "stop", "user", "n", "stream", "logit_bias", "stream_options", "suffix", "seed"]
            .iter()
            .map(|field| model(&format!("\"{field}\": \"{CANARY}\", \"max_tokens\": 2")))
            .collect();
    bodies.extend([
        model(&format!("\"{CANARY}\": 1")),
        model(&format!("\"stream_options\": {{\"{CANARY}\": 1}}, \"stream\": true")),
        model(&format!("\"logit_bias\": {{\"{CANARY}\": 1}}")),
        model(&format!("\"logit_bias\": {{\"{CANARY}\": 1, \"{CANARY}\": 1}}")),
        model(&format!("\"prompt\": [1, \"{CANARY}\"]")),
        model(&format!("\"stop\": [\"{CANARY}\", \"\"]")),
        model(&format!("\"prompt\": \"{}\"", CANARY.repeat(500))),
        format!("{{\"model\": \"{CANARY}\"}}"),
        format!("{CANARY}{{"),
        format!("\"{CANARY}\""),
    ]);
    bodies
}

#[test]
fn nothing_that_a_client_sends_is_in_the_log() -> Result<()> {
    let server = Server::start(&["--model", "tiny", "--model", "mobilenet-v2"])?;
    let marked = |start: &str| format!("{start}{CANARY}");
    for body in marked_bodies() {
        server.curl("/v1/completions", &["-H", "Content-Type: application/json", "--data-raw", &body])?;
    }
    let (text, form) = ("Content-Type: text/plain", format!("{CANARY}={CANARY};filename={CANARY}"));
    let requests: [(String, Vec<String>); 13] = [
        (marked("/"), vec![]),
        (marked("/v1/models/"), vec![]),
        (marked("/v1/models/%ff"), vec![]),
        (marked("/infer?max_tokens="), vec!["-H".into(), text.into(), "-d".into(), "a".into()]),
        (format!("/infer?{CANARY}=1"), vec!["-H".into(), text.into(), "-d".into(), "a".into()]),
        (marked("/infer?model="), vec!["-H".into(), text.into(), "-d".into(), "a".into()]),
        ("/infer".into(), vec!["-H".into(), marked("Content-Type: text/"), "-d".into(), "a".into()]),
        ("/v1/models".into(), vec!["-X".into(), CANARY.to_uppercase()]),
        ("/v1/models".into(), vec!["-H".into(), marked("Host: ")]),
        (
            "/infer".into(),
            vec!["-H".into(), marked("Origin: https://"), "-H".into(), text.into(), "-d".into(), "a".into()],
        ),
        (
            "/v1/models".into(),
            vec!["-H".into(), format!("X-Request-Id: {CANARY} {CANARY}"), "-A".into(), CANARY.into()],
        ),
        ("/v1/classify".into(), vec!["-F".into(), form]),
        ("/v1/classify".into(), vec!["-H".into(), "Content-Type: image/png".into(), "-d".into(), CANARY.into()]),
    ];
    for (path, options) in &requests {
        server.curl(path, options)?;
    }
    let last = server.get("/healthz")?;
    server.log_of(&last.headers["x-request-id"])?;
    let log = server.log().join("\n");
    assert!(!log.to_lowercase().contains(CANARY), "{log}");
    assert!(
        log.contains("\"_OTHER\"") && log.contains("unknown_field") && log.contains("\"param\":\"logit_bias\""),
        "{log}"
    );
    Ok(())
}

#[test]
fn a_refusal_repeats_only_the_beginning_of_what_it_refuses() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let folder = TempDir::new()?;
    let (long, body) = ("\u{1}ä".repeat(1000), folder.path().join("body.json"));
    let name = "x".repeat(4_000_000);
    fs::write(&body, format!("{{\"{name}\": 1}}"))?;
    let body = format!("@{}", body.display());
    let path = format!("/{}", "x".repeat(4000));
    let (json_type, kind) = ("Content-Type: application/json", format!("Content-Type: {}", "x".repeat(4000)));
    let answers = [
        server.curl("/v1/completions", &["-H", json_type, "--data-binary", &body])?,
        server.curl(&path, &["-X", "POST"])?,
        server.curl(&format!("/v1/models{path}"), &[] as &[&str])?,
        server.curl("/infer", &["-H", &kind, "-d", "a"])?,
        server.curl(&format!("/infer?top={}", "x".repeat(4000)), &["-H", "Content-Type: text/plain", "-d", "a"])?,
        server.post("/v1/completions", &json!({ "model": long }))?,
        server.post("/v1/completions", &json!({ "model": "tiny", "logit_bias": { long: 1 } }))?,
    ];
    for answer in answers {
        let message = answer.json()?["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(answer.body.len() < 2000 && message.contains(" bytes)") && message.contains('…'), "{message}");
        assert!(!message.contains('\u{1}'), "{message}");
    }
    Ok(())
}

#[test]
fn a_rebound_name_is_refused_and_a_name_that_is_given_is_served() -> Result<()> {
    let server = Server::start(&["--model", "tiny", "--allowed-host", "models.example.org"])?;
    let infer = |host: &str| {
        let (host, origin) = (format!("Host: {host}"), format!("Origin: http://{host}"));
        let text = "Content-Type: text/plain";
        server.curl("/infer?max_tokens=2", &["-H", host.as_str(), "-H", &origin, "-H", text, "-d", "a"])
    };
    let rebound = infer("evil.example:3100")?;
    assert_eq!(refusal(&rebound)?, (421, Value::Null, json!("unknown_host")));
    assert!(rebound.body.contains("--allowed-host"), "{}", rebound.body);
    for host in ["models.example.org", "MODELS.example.org.:3000", "localhost:1", "[::1]"] {
        assert_eq!(infer(host)?.status, 200, "{host}");
    }
    let listed = server.curl("/v1/models", &["-H", "Host: evil.example", "-H", "Origin: http://evil.example"])?;
    assert_eq!(listed.status, 421);
    let absolute = server.curl("/v1/models", &["--request-target", "http://evil.example/v1/models"])?;
    assert_eq!(absolute.status, 421, "the target's host goes before the header");
    for (options, status) in [(&["-H", "Host:"][..], 400), (&["--http1.0", "-H", "Host:"], 200)] {
        assert_eq!(server.curl("/v1/models", options)?.status, status, "{options:?}");
    }
    assert_eq!(server.curl("/readyz", &["-H", "Host: any.example"])?.status, 200);
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
    assert!(refused("CARAFE_ALLOWED_HOST", "*.example.org")?.contains("no host"));
    assert!(refused("CARAFE_SHARE_PREFIXES", "perhaps")?.contains("--share-prefixes"));
    let keys = root().join("fixtures/README.md");
    assert!(refused("CARAFE_API_KEY_FILE", &keys.to_string_lossy())?.contains("line 2"));
    Ok(())
}

#[test]
fn prefixes_are_used_by_their_own_key_unless_a_flag_says_otherwise() -> Result<()> {
    let shown = |flags: &[&str], variables: &[(&str, &str)]| -> Result<Value> {
        let arguments = [&["serve", "--print-config"], flags].concat();
        let output = carafe(&arguments)?.envs(variables.iter().copied()).output()?;
        Ok(serde_json::from_slice::<Value>(&output.stdout)?["prefix_cache"].clone())
    };
    assert_eq!(shown(&[], &[])?, "per-key");
    assert_eq!(shown(&["--share-prefixes"], &[])?, "shared");
    assert_eq!(shown(&["--no-prefix-cache"], &[])?, "off");
    assert_eq!(shown(&[], &[("CARAFE_SHARE_PREFIXES", "true")])?, "shared");
    assert_eq!(shown(&[], &[("CARAFE_NO_PREFIX_CACHE", "true")])?, "off");
    assert_eq!(shown(&["--no-prefix-cache"], &[("CARAFE_SHARE_PREFIXES", "false")])?, "off");
    let both = carafe(&["serve", "--print-config", "--share-prefixes", "--no-prefix-cache"])?.output()?;
    assert!(!both.status.success() && String::from_utf8_lossy(&both.stderr).contains("exclude each other"));
    Ok(())
}
