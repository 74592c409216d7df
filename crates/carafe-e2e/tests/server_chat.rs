//! Conversations over HTTP: answers and streams, reasoning apart, what a template makes of a
//! conversation, and what of all that is never logged.

use anyhow::{Context as _, Result};
use carafe_e2e::chat::{PLAIN_TEMPLATE, THINKING_TEMPLATE, TINY_CHAT, start_chat};
use carafe_e2e::server::{Answer, Server};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn hello(fields: Value) -> Value {
    let mut body = json!({ "model": TINY_CHAT, "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 6 });
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    body
}

fn ask(server: &Server, fields: Value) -> Result<Value> {
    let answer = server.post(CHAT, &hello(fields))?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Status, parameter and message of a refusal.
fn refusal(answer: &Answer) -> Result<(u16, Value, String)> {
    let error = answer.json()?["error"].clone();
    Ok((answer.status, error["param"].clone(), error["message"].as_str().unwrap_or_default().to_owned()))
}

/// The chunks of a stream.
fn chunks(answer: &Answer) -> Result<Vec<Value>> {
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).context("JSON")).collect()
}

#[test]
fn a_conversation_is_answered_and_streamed_in_the_shape_of_openais_api() -> Result<()> {
    let (server, _models) = start_chat(PLAIN_TEMPLATE, &["--profile", "exact"])?;
    let fields = json!({ "n": 2, "seed": 3, "ignore_eos": true });
    let whole = ask(&server, fields.clone())?;
    assert_eq!((&whole["object"], &whole["usage"]["completion_tokens"]), (&json!("chat.completion"), &json!(12)));
    assert!(whole["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
    let content = |index: usize| whole["choices"][index]["message"]["content"].as_str().unwrap_or_default().to_owned();
    let message = json!({ "role": "assistant", "content": content(1), "refusal": null });
    let expected = json!({ "index": 1, "message": message, "logprobs": null, "finish_reason": "length" });
    assert_eq!(whole["choices"][1], expected);

    let mut body = hello(fields);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let chunks = chunks(&server.post(CHAT, &body)?)?;
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    let (usage, chunks) = chunks.split_last().context("chunks")?;
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    for index in 0..2 {
        let own: Vec<&Value> =
            chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|choice| choice["index"] == index).collect();
        assert_eq!(own[0]["delta"], json!({ "role": "assistant", "content": "" }));
        let text: String = own.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, content(index));
        let last = own.last().context("a last chunk")?;
        assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &json!("length")));
    }
    Ok(())
}

#[test]
fn log_probabilities_come_in_the_shape_of_chat_with_a_token_for_each_entry() -> Result<()> {
    let (server, _models) = start_chat(PLAIN_TEMPLATE, &[])?;
    let fields = json!({ "logprobs": true, "top_logprobs": 2, "temperature": 0, "ignore_eos": true });
    let answer = ask(&server, fields)?;
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().context("tokens")?.clone();
    assert_eq!(tokens.len(), 6);
    for token in tokens {
        assert_eq!(token["top_logprobs"].as_array().map(Vec::len), Some(2));
        let best = &token["top_logprobs"][0];
        assert_eq!(
            (&token["token"], &token["bytes"], &token["logprob"]),
            (&best["token"], &best["bytes"], &best["logprob"])
        );
    }
    let refused = refusal(&server.post(CHAT, &hello(json!({ "top_logprobs": 2 })))?)?;
    assert_eq!((refused.0, refused.1), (400, json!("top_logprobs")));
    Ok(())
}

#[test]
fn reasoning_comes_apart_unless_it_is_to_stay_in_the_text() -> Result<()> {
    let (server, _models) = start_chat(THINKING_TEMPLATE, &["--profile", "exact"])?;
    let fields = json!({ "seed": 1, "ignore_eos": true });
    let apart = ask(&server, fields.clone())?["choices"][0]["message"].clone();
    assert_eq!(apart["content"], "", "the tiny model never ends its reasoning");
    assert!(apart["reasoning_content"].as_str().is_some_and(|text| !text.is_empty()), "{apart}");
    let mut together = fields;
    together["separate_reasoning"] = json!(false);
    let together = ask(&server, together)?["choices"][0]["message"].clone();
    assert_eq!(
        (together["content"].as_str().map(str::trim), together.get("reasoning_content")),
        (apart["reasoning_content"].as_str().map(str::trim), None)
    );
    let streamed = chunks(&server.post(CHAT, &hello(json!({ "seed": 1, "ignore_eos": true, "stream": true })))?)?;
    let deltas = streamed.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].as_str());
    assert_eq!(deltas.collect::<String>(), apart["reasoning_content"].as_str().unwrap_or_default());
    Ok(())
}

#[test]
fn what_the_template_makes_can_be_seen_and_what_is_wrong_is_named_by_its_field() -> Result<()> {
    let (server, _models) = start_chat(PLAIN_TEMPLATE, &[])?;
    let tool = json!({ "type": "function", "function": { "name": "look", "parameters": {} } });
    let conversation = json!({
        "messages": [{ "role": "user", "content": "<|endoftext|>" }], "tools": [tool],
        "chat_template_kwargs": { "suffix": "!" }
    });
    let prompt = server.post("/apply-template", &conversation)?.json()?["prompt"].clone();
    assert_eq!(prompt, "look\nu:<|endoftext|>!\na:");
    let tokens = server.post("/tokenize", &conversation)?.json()?;
    assert!(tokens["tokens"].as_array().is_some_and(|tokens| !tokens.contains(&json!(0))), "text is no control token");
    let text = server.post("/detokenize", &json!({ "tokens": tokens["tokens"] }))?.json()?["prompt"].clone();
    assert_eq!(text, prompt);
    let cases = [
        (json!({ "messages": [{ "role": "king", "content": "a" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user", "content": 5 }] }), "messages[0].content"),
        (json!({ "messages": 5 }), "messages"),
        (json!({ "tools": [5] }), "tools[0]"),
        (json!({ "tool_choice": "required" }), "tool_choice"),
        (
            json!({ "chat_template_kwargs": { "suffix": "!", "enable_thinking": true } }),
            "chat_template_kwargs.enable_thinking",
        ),
        (json!({ "response_format": { "type": "json_object" } }), "response_format"),
        (json!({ "store": true }), "store"),
        (json!({ "modalities": ["audio"] }), "modalities"),
        (json!({ "max_tokens": 400 }), "max_tokens"),
        (json!({ "max_tokens": null, "max_completion_tokens": 400 }), "max_completion_tokens"),
        (json!({ "logprobs": true, "top_logprobs": 21 }), "top_logprobs"),
        (json!({ "messages": [{ "role": "user", "content": "long ".repeat(200) }] }), "messages"),
        (json!({ "add_generation_prompt": true, "continue_final_message": true }), "continue_final_message"),
    ];
    for (fields, param) in cases {
        let (status, got, message) = refusal(&server.post(CHAT, &hello(fields.clone()))?)?;
        assert_eq!((status, got), (400, json!(param)), "{fields}: {message}");
    }
    Ok(())
}

#[test]
fn the_models_own_defaults_and_the_servers_bound_hold_where_a_request_says_nothing() -> Result<()> {
    let (server, _models) = start_chat(PLAIN_TEMPLATE, &["--default-max-tokens", "9"])?;
    let card = server.get("/v1/models/tiny-chat")?.json()?;
    assert_eq!(
        (&card["chat_template"], &card["generation"]),
        (&json!(true), &json!({ "temperature": 0.5, "top_k": 40 }))
    );
    let used = |fields: Value| Ok::<_, anyhow::Error>(ask(&server, fields)?["usage"]["completion_tokens"].clone());
    assert_eq!(used(json!({ "max_tokens": null, "ignore_eos": true }))?, 9);
    assert_eq!(used(json!({ "max_tokens": 12, "ignore_eos": true }))?, 12);
    Ok(())
}

/// Doubles a text until its fuel ends, or a list until the guest's memory does.
const DOUBLING_TEMPLATE: &str = "{% set ns = namespace(text='x', list=['x']) %}{% set asked = messages[0].content %}\
    {% for i in range(99) %}{% if asked == 'text' %}{% set ns.text = ns.text ~ ns.text %}{% endif %}\
    {% if asked == 'list' %}{% set ns.list = ns.list + ns.list %}{% endif %}{% endfor %}{{ asked }}";

#[test]
fn a_conversation_that_takes_too_much_to_render_is_refused_and_a_trap_is_its_own() -> Result<()> {
    let (server, _models) = start_chat(DOUBLING_TEMPLATE, &[])?;
    let asked =
        |content: &str| server.post(CHAT, &hello(json!({ "messages": [{ "role": "user", "content": content }] })));
    let (status, param, message) = refusal(&asked("text")?)?;
    assert_eq!((status, param), (400, json!("messages")));
    assert!(message.contains("takes more than 1500000 steps of the template (template line 1)"), "{message}");
    let trapped = asked("list")?;
    assert_eq!((trapped.status, &trapped.json()?["error"]["code"]), (500, &json!("sandbox_failed")));
    assert_eq!(asked("hi")?.status, 200, "the guest was replaced");
    let long = refusal(&asked(&"long ".repeat(20_000))?)?;
    assert_eq!((long.0, long.1), (400, json!("messages")));
    Ok(())
}

/// Sent in every field of a conversation; no log and no figure holds it.
const CANARY: &str = "canary7f3a";

#[test]
fn nothing_of_a_conversation_is_in_the_log_or_the_metrics() -> Result<()> {
    let (server, _models) = start_chat(PLAIN_TEMPLATE, &[])?;
    let message = |role: &str| json!({ "role": role, "content": CANARY });
    let tool = json!({ "type": "function", "function": { "name": CANARY, "description": CANARY,
        "parameters": { "type": "object", "properties": { CANARY: { "type": "string" } } } } });
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": CANARY, "type": "function", "function": { "name": CANARY, "arguments": format!("{{\"{CANARY}\": 1}}") } }
    ] });
    let conversations = [
        json!([message("user")]),
        json!([message("king")]),
        json!([{ "role": CANARY, "content": "a" }]),
        json!([{ "role": "user", "content": { CANARY: 1 } }]),
        json!([message("user"), call, { "role": "tool", "tool_call_id": CANARY, "content": CANARY }]),
        json!(CANARY),
    ];
    for path in [CHAT, "/tokenize", "/apply-template"] {
        for messages in &conversations {
            let mut body = json!({ "model": TINY_CHAT, "messages": messages });
            server.post(path, &body)?;
            body["tools"] = json!([tool]);
            body["chat_template_kwargs"] = json!({ CANARY: CANARY });
            server.post(path, &body)?;
        }
    }
    server.post("/tokenize", &json!({ "prompt": CANARY }))?;
    server.post("/detokenize", &json!({ "tokens": CANARY }))?;
    let answer = ask(&server, json!({ "ignore_eos": true, "max_tokens": 24 }))?;
    let last = server.get("/healthz")?;
    server.log_of(&last.headers["x-request-id"])?;
    let output = answer["choices"][0]["message"]["content"].as_str().context("a content")?;
    for told in [server.log().join("\n"), server.get("/metrics")?.body] {
        assert!(!told.contains(CANARY), "{told}");
        assert!(!told.contains(output), "{told}");
    }
    Ok(())
}
