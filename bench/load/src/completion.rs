//! Streamed completions: each request on a thread of its own, which notes when tokens come.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arrivals::Arrival;
use crate::words::Words;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// GPT-2's end of text, which no request here is to choose.
const END_OF_TEXT: &str = "50256";

/// A server and how it is asked.
pub(crate) struct Server<'a> {
    pub(crate) url: &'a str,
    pub(crate) model: &'a str,
    /// Prompts go as text and not as tokens.
    pub(crate) text: bool,
}

/// When a request was sent and its tokens came, in seconds of the run.
struct Times {
    sent: f64,
    tokens: Vec<f64>,
}

/// What is read of a chunk.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: String,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: usize,
}

/// Sends every request at its time; the times of all, or the first failure.
pub(crate) fn run(server: &Server<'_>, words: &Words, arrivals: &[Arrival], seed: u64) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let bodies: Vec<Arc<str>> =
        (seed..).zip(arrivals).map(|(seed, arrival)| body(server, words, arrival, seed)).collect();
    let url = format!("{}/v1/completions", server.url);
    let began = Instant::now();
    let start = |(arrival, body): (&Arrival, &Arc<str>)| {
        let (agent, url, body, arrival) = (agent.clone(), url.clone(), body.clone(), *arrival);
        thread::spawn(move || {
            let wait = Duration::from_secs_f64(arrival.at).saturating_sub(began.elapsed());
            thread::sleep(wait);
            complete(&agent, &url, &body, began, arrival.new_tokens as usize)
        })
    };
    let threads: Vec<_> = arrivals.iter().zip(&bodies).map(start).collect();
    let mut requests = Vec::new();
    for (thread, arrival) in threads.into_iter().zip(arrivals) {
        let times = thread.join().map_err(|_| anyhow!("a request's thread panicked"))??;
        let Times { sent, tokens } = times;
        requests.push(json!({ "prompt_tokens": arrival.prompt_tokens, "sent": sent, "tokens": tokens }));
    }
    Ok(json!({ "requests": requests, "wall_seconds": began.elapsed().as_secs_f64() }))
}

fn body(server: &Server<'_>, words: &Words, arrival: &Arrival, seed: u64) -> Arc<str> {
    let prompt = if server.text {
        json!(words.text(arrival.prompt_tokens, seed))
    } else {
        json!(words.prompt(arrival.prompt_tokens, seed))
    };
    let mut body = json!({
        "model": server.model,
        "prompt": prompt,
        "max_tokens": arrival.new_tokens,
        "temperature": 0.0,
        "stream": true,
    });
    if server.text {
        body["logit_bias"] = json!({ END_OF_TEXT: -100 });
    } else {
        body["ignore_eos"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    body.to_string().into()
}

fn complete(agent: &ureq::Agent, url: &str, body: &str, began: Instant, wanted: usize) -> Result<Times> {
    let sent = began.elapsed().as_secs_f64();
    let answer = agent.post(url).header("content-type", "application/json").send(body);
    let answer = answer.with_context(|| format!("`{url}` did not take a request"))?;
    let (mut tokens, count) = read(BufReader::new(answer.into_body().into_reader()), began)?;
    let count = count.unwrap_or(wanted);
    if tokens.is_empty() || count != wanted {
        bail!("`{url}` sent {count} tokens instead of {wanted}");
    }
    // A token that is no whole UTF-8 comes with a later one: those that are left over came by the
    // end.
    let last = tokens[tokens.len() - 1];
    tokens.resize(wanted, last);
    Ok(Times { sent, tokens })
}

/// When the pieces of an answer came, and the number of tokens if the server says it.
fn read(stream: impl BufRead, began: Instant) -> Result<(Vec<f64>, Option<usize>)> {
    let (mut times, mut count, mut is_finished) = (Vec::new(), None, false);
    for line in stream.lines() {
        let line = line.context("the stream broke off")?;
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            break;
        }
        let now = began.elapsed().as_secs_f64();
        let chunk: Chunk = serde_json::from_str(data).with_context(|| format!("a chunk is not understood: {data}"))?;
        if let Some(error) = chunk.error {
            bail!("the server failed: {error}");
        }
        for choice in chunk.choices {
            is_finished |= choice.finish_reason.is_some();
            if !choice.text.is_empty() {
                times.push(now);
            }
        }
        count = chunk.usage.map(|usage| usage.completion_tokens).or(count);
    }
    if !is_finished {
        bail!("the stream ended before its time");
    }
    Ok((times, count))
}

#[cfg(test)]
mod tests;
