//! Streamed completions: what is sent, when its tokens come, and a run of requests, each on a
//! thread of its own.

use std::io::{BufRead, BufReader};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::words::{self, Prompt, Word};

/// How long a request may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// GPT-2's end of text, which no request here is to choose.
const END_OF_TEXT: &str = "50256";

/// The status of a server that has no room for a request.
const TOO_MANY_REQUESTS: u16 = 429;
/// Seconds to wait for room if the server does not say how many.
const DEFAULT_WAIT: u64 = 1;
/// The most seconds that a server may have a request wait for room.
const LONGEST_WAIT: u64 = 10;

/// A server and how it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) url: &'a str,
    pub(crate) model: &'a str,
    /// Prompts go as text and not as tokens.
    pub(crate) text: bool,
}

/// A request, sent `at` seconds after the run has begun.
pub(crate) struct Request<'a> {
    pub(crate) at: f64,
    pub(crate) prompt: Prompt<'a>,
    pub(crate) new_tokens: u64,
}

/// A request's fields, and the lengths of its prompt and its answer.
pub(crate) struct Body {
    pub(crate) fields: Value,
    prompt_tokens: usize,
    new_tokens: usize,
}

/// When a request was sent and its tokens came, in seconds of the run.
pub(crate) struct Times {
    pub(crate) prompt_tokens: usize,
    pub(crate) sent: f64,
    pub(crate) tokens: Vec<f64>,
    /// Tokens of the prompt that the server had in its cache, if it says so.
    pub(crate) cached_tokens: Option<u64>,
}

/// What became of a request.
pub(crate) enum Answer {
    Tokens(Times),
    /// The server had no room, and wants to be asked again after this time.
    NoRoom(Duration),
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
    #[serde(default)]
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Deserialize)]
struct PromptTokensDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// Sends every request at its time; the times of all, or the first failure.
pub(crate) fn run(server: &Server<'_>, requests: &[Request<'_>]) -> Result<Value> {
    let client = Client::new(server, None);
    let bodies = requests.iter().map(|request| server.body(&request.prompt, request.new_tokens));
    let work: Vec<(Duration, Body)> =
        requests.iter().map(|request| Duration::from_secs_f64(request.at)).zip(bodies).collect();
    let began = Instant::now();
    let send = |(at, body): &(Duration, Body)| {
        thread::sleep(at.saturating_sub(began.elapsed()));
        client.complete(body, began)
    };
    let times = thread::scope(|scope| {
        let threads: Vec<_> = work.iter().map(|work| scope.spawn(|| send(work))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a request's thread panicked"))?).collect()
    });
    let times: Result<Vec<Times>> = times;
    let requests: Vec<Value> = times?.iter().map(Times::to_json).collect();
    Ok(json!({ "requests": requests, "wall_seconds": began.elapsed().as_secs_f64() }))
}

impl Server<'_> {
    /// A greedy request for exactly `new_tokens`.
    pub(crate) fn body(&self, prompt: &[&Word], new_tokens: u64) -> Body {
        let words = if self.text { json!(words::text(prompt)) } else { words::tokens(prompt) };
        let mut fields = json!({
            "model": self.model,
            "prompt": words,
            "max_tokens": new_tokens,
            "temperature": 0.0,
            "stream": true,
        });
        if self.text {
            fields["logit_bias"] = json!({ END_OF_TEXT: -100 });
        } else {
            fields["ignore_eos"] = json!(true);
            fields["stream_options"] = json!({ "include_usage": true });
        }
        Body { fields, prompt_tokens: prompt.len(), new_tokens: new_tokens as usize }
    }
}

impl Times {
    pub(crate) fn to_json(&self) -> Value {
        let mut times = json!({ "prompt_tokens": self.prompt_tokens, "sent": self.sent, "tokens": self.tokens });
        if let Some(cached) = self.cached_tokens {
            times["cached_tokens"] = json!(cached);
        }
        times
    }
}

/// A client of a server, which keeps its connections open.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl Client {
    /// A client with an API key, if it needs one.
    pub(crate) fn new(server: &Server<'_>, key: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let authorization = key.map(|key| format!("Bearer {key}"));
        Self { agent: config.build().into(), url: format!("{}/v1/completions", server.url), authorization }
    }

    /// Sends a request that the server is to have room for.
    pub(crate) fn complete(&self, body: &Body, began: Instant) -> Result<Times> {
        match self.send(body, began)? {
            Answer::Tokens(times) => Ok(times),
            Answer::NoRoom(_) => bail!("`{}` had no room for a request", self.url),
        }
    }

    /// Sends a request, and reads its answer to the end.
    pub(crate) fn send(&self, body: &Body, began: Instant) -> Result<Answer> {
        let text = body.fields.to_string();
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sent = began.elapsed().as_secs_f64();
        let mut answer = request.send(text).with_context(|| format!("`{}` did not take a request", self.url))?;
        let status = answer.status();
        if !status.is_success() {
            // A refusal is read to its end, so that the connection can be used again.
            let words = answer.body_mut().read_to_string().unwrap_or_default();
            ensure!(status.as_u16() == TOO_MANY_REQUESTS, "`{}` answered with {status}: {words}", self.url);
            return Ok(Answer::NoRoom(wait_of(answer.headers())));
        }
        let (tokens, usage) = read(BufReader::new(answer.into_body().into_reader()), began)?;
        body.times(sent, tokens, usage).map(Answer::Tokens)
    }
}

impl Body {
    /// The times of an answer, which must be as long as was wanted.
    fn times(&self, sent: f64, mut tokens: Vec<f64>, usage: Option<Usage>) -> Result<Times> {
        let wanted = self.new_tokens;
        let count = usage.as_ref().map_or(wanted, |usage| usage.completion_tokens);
        ensure!(count == wanted && !tokens.is_empty(), "the answer has {count} tokens instead of {wanted}");
        // A token that is no whole UTF-8 comes with a later one: those that are left over came by
        // the end.
        tokens.resize(wanted, tokens[tokens.len() - 1]);
        let cached_tokens = usage.and_then(|usage| usage.prompt_tokens_details?.cached_tokens);
        Ok(Times { prompt_tokens: self.prompt_tokens, sent, tokens, cached_tokens })
    }
}

/// How long a server that has no room wants to be left alone.
fn wait_of(headers: &ureq::http::HeaderMap) -> Duration {
    let seconds = headers.get("retry-after").and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT))
}

/// When the pieces of an answer came, and its length if the server says it.
fn read(stream: impl BufRead, began: Instant) -> Result<(Vec<f64>, Option<Usage>)> {
    let (mut times, mut usage, mut is_finished) = (Vec::new(), None, false);
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
        usage = chunk.usage.or(usage);
    }
    ensure!(is_finished, "the stream ended before its time");
    Ok((times, usage))
}

#[cfg(test)]
mod tests;
