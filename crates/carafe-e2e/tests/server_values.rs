//! Values that a request may have: defaults that refuse nothing, limits that are named, and seeds
//! that give every choice again.

use std::io::Read;

use anyhow::Result;
use carafe_e2e::server::Server;
use serde_json::{Value, json};

/// How much one prompt of 4 MB may take in the server at its peak, the guest's copy and the growth
/// of buffers included. 128 copies of it would take more than ten times as much.
const MAX_PEAK_GROWTH: u64 = 160 << 20;

#[test]
fn a_default_of_max_tokens_gives_way_to_the_room_and_to_min_tokens() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let generated = |fields: Value| -> Result<(Value, Value)> {
        let mut body = json!({ "ignore_eos": true });
        fields.as_object().into_iter().flatten().for_each(|(name, value)| body[name] = value.clone());
        let answer = server.post("/v1/completions", &body)?.json()?;
        Ok((answer["usage"]["completion_tokens"].clone(), answer["choices"][0]["finish_reason"].clone()))
    };
    for (fields, tokens) in [
        (json!({ "prompt": [7] }), 16),
        (json!({ "prompt": vec![7; 60] }), 4),
        (json!({ "prompt": vec![7; 64] }), 0),
        (json!({ "prompt": [7], "min_tokens": 20 }), 20),
        (json!({ "prompt": [7], "max_tokens": 63 }), 63),
        (json!({ "prompt": [7], "max_tokens": 0 }), 0),
    ] {
        assert_eq!(generated(fields.clone())?, (json!(tokens), json!("length")), "{fields}");
    }
    let infer = server.curl("/infer", &["-H", "Content-Type: text/plain", "-d", "a b c d e f g h i j k l m n o p"])?;
    assert_eq!(infer.status, 200, "the default of 64 tokens and this text are more than the context: {}", infer.body);
    Ok(())
}

#[test]
fn what_does_not_fit_into_the_context_is_refused_with_the_largest_number_that_does() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let refusal =
        |body: Value| -> Result<Value> { Ok(server.post("/v1/completions", &body)?.json()?["error"].clone()) };
    let error = refusal(json!({ "prompt": vec![7; 60], "max_tokens": 5 }))?;
    let expected = "This model's maximum context length is 64 tokens; `prompt` has 60 and `max_tokens` is 5; \
                    the largest `max_tokens` that fits is 4";
    assert_eq!((&error["message"], &error["param"]), (&json!(expected), &json!("max_tokens")));
    assert_eq!(error["code"], "context_length_exceeded");
    for prompt in [json!(vec![7; 65]), json!("q9 ".repeat(100)), json!("q9 ".repeat(20_000))] {
        let error = refusal(json!({ "prompt": prompt }))?;
        assert_eq!((&error["param"], &error["code"]), (&json!("prompt"), &json!("context_length_exceeded")));
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("This model's maximum context length is 64 tokens; `prompt` has "), "{message}");
    }
    Ok(())
}

#[test]
fn the_seeds_of_an_answer_are_those_of_its_choices_and_give_each_of_them_again() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--profile", "exact"])?;
    let prompts = ["The fox", "The fox", "The king"];
    let ask = |fields: Value| -> Result<Value> {
        let mut body = json!({ "max_tokens": 12, "ignore_eos": true });
        fields.as_object().into_iter().flatten().for_each(|(name, value)| body[name] = value.clone());
        server.post("/v1/completions", &body)?.json()
    };
    for fields in [
        json!({ "prompt": prompts, "n": 2 }),
        json!({ "prompt": prompts, "n": 2, "seed": -2 }),
        json!({ "prompt": prompts, "n": 2, "best_of": 4 }),
    ] {
        let answer = ask(fields.clone())?;
        let seeds = answer["carafe"]["seeds"].as_array().cloned().unwrap_or_default();
        assert_eq!(seeds.len(), 6, "{fields}");
        for (index, seed) in seeds.iter().enumerate() {
            let again = ask(json!({ "prompt": prompts[index / 2], "seed": seed }))?;
            assert_eq!(again["choices"][0]["text"], answer["choices"][index]["text"], "{fields} {index}");
        }
    }
    let given = ask(json!({ "prompt": prompts, "n": 2, "seed": -2 }))?;
    assert_eq!(given["carafe"]["seeds"], json!([u64::MAX - 1, u64::MAX, 0, 1, 2, 3]));
    Ok(())
}

#[test]
fn a_prompt_is_held_once_however_many_choices_are_asked_for() -> Result<()> {
    let server = Server::start(&["--model", "tiny", "--queue", "128"])?;
    let ids = "7,".repeat((4 << 20) / 2 - 100);
    let tokens: Value = serde_json::from_str(&format!("[{}]", ids.trim_end_matches(',')))?;
    for prompt in [tokens, json!("q9".repeat((4 << 20) / 2 - 100))] {
        let before = server.peak_memory()?;
        let mut connection = server.send("/v1/completions", &json!({ "prompt": prompt, "n": 128 }))?;
        let mut status = [0; 12];
        connection.read_exact(&mut status)?;
        assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 400");
        let growth = server.peak_memory()?.saturating_sub(before);
        assert!(growth < MAX_PEAK_GROWTH, "{growth} bytes");
    }
    Ok(())
}
