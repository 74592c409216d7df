//! What ran where and how fast: a few lines on standard error, or one JSON object on standard
//! output.

use anyhow::Result;
use carafe_host::text::TokenLogprobs;
use serde_json::{Value, json};

use super::outcome::Outcome;
use crate::arguments::Generate;
use crate::machine::{self, Loaded};
use crate::output::{self, mebibytes};

/// Prints the summary of a request.
pub(crate) fn print(
    options: &Generate,
    loaded: &Loaded,
    outcome: &Outcome,
    seed: u64,
    guest_memory: Option<u64>,
) -> Result<()> {
    if options.json {
        return output::json(&as_json(options, loaded, outcome, seed, guest_memory));
    }
    lines(options, loaded, outcome, seed, guest_memory).iter().for_each(|line| output::note(line));
    Ok(())
}

fn lines(options: &Generate, loaded: &Loaded, outcome: &Outcome, seed: u64, guest_memory: Option<u64>) -> [String; 4] {
    let sandbox = match guest_memory {
        Some(bytes) => format!("sandboxed, guest memory {} of {} MiB", mebibytes(bytes), options.running.guest_memory),
        None => "native, without the sandbox".to_owned(),
    };
    let first = outcome.time_to_first_token().map_or("none".to_owned(), |time| format!("{:.1} ms", milliseconds(time)));
    let speed = outcome.tokens_per_second().map_or("-".to_owned(), |speed| format!("{speed:.1}"));
    [
        String::new(),
        format!("{}: {}, OpenVINO {}", loaded.model.name(), loaded.profile_words(), loaded.runtime.version()),
        format!(
            "{} tokens after a prompt of {} ({}), {speed} tokens/s, first token after {first}, seed {seed}",
            outcome.tokens().len(),
            outcome.prompt_tokens(),
            outcome.finish_reason()
        ),
        format!("{sandbox}, host memory {}", machine::peak_memory().map_or("unknown".to_owned(), mebibytes)),
    ]
}

fn as_json(options: &Generate, loaded: &Loaded, outcome: &Outcome, seed: u64, guest_memory: Option<u64>) -> Value {
    let prompt =
        outcome.prompt().iter().map(|token| as_token(token.id, &text_of(&token.bytes), token.logprobs.as_ref()));
    let tokens = outcome.tokens().iter().map(|token| as_token(token.id, &token.text, token.logprobs.as_ref()));
    json!({
        "model": loaded.model.name(),
        "text": outcome.text(),
        "finish_reason": outcome.finish_reason(),
        "prompt": prompt.collect::<Vec<_>>(),
        "tokens": tokens.collect::<Vec<_>>(),
        "usage": { "prompt_tokens": outcome.prompt_tokens(), "completion_tokens": outcome.tokens().len() },
        "seed": seed,
        "profile": loaded.model.graph().options().profile.to_string(),
        "properties": loaded.model.graph().properties(),
        "openvino": loaded.runtime.version(),
        "native": options.native,
        "time_to_first_token_ms": outcome.time_to_first_token().map(milliseconds),
        "tokens_per_second": outcome.tokens_per_second(),
        "guest_memory_bytes": guest_memory,
        "host_memory_bytes": machine::peak_memory(),
    })
}

fn as_token(id: u32, text: &str, logprobs: Option<&TokenLogprobs>) -> Value {
    let Some(logprobs) = logprobs else {
        return json!({ "id": id, "text": text });
    };
    let top: Vec<Value> =
        logprobs.top.iter().map(|token| json!({ "id": token.id, "logprob": token.logprob })).collect();
    json!({ "id": id, "text": text, "logprob": logprobs.chosen, "top_logprobs": top })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
