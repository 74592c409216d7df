//! Texts that arrive while something else is measured: one after the other, as fast as the server
//! answers, whatever it answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::completion::Server;

/// How long one text may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `measure` while the text is sent again and again; its report, with the number of texts that
/// were answered.
pub(crate) fn beside(server: &Server<'_>, text: &str, measure: impl FnOnce() -> Result<Value>) -> Result<Value> {
    let body = json!({ "model": server.model, "prompt": text, "max_tokens": 1, "temperature": 0.0 }).to_string();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&is_over, &format!("{}/v1/completions", server.url), &body));
        let report = measure();
        is_over.store(true, Ordering::Relaxed);
        let sent = sender.join().map_err(|_| anyhow!("the thread that sends texts panicked"))??;
        let mut report = report?;
        report["background_texts"] = json!(sent);
        Ok(report)
    })
}

/// Sends the body until it is over; how many were answered. A text that is too long is answered
/// with 400.
fn send_until(is_over: &AtomicBool, url: &str, body: &str) -> Result<u64> {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let mut answered = 0;
    while !is_over.load(Ordering::Relaxed) {
        let answer = agent.post(url).header("content-type", "application/json").send(body);
        let mut answer = answer.with_context(|| format!("`{url}` did not take a text of {} bytes", body.len()))?;
        let words = answer.body_mut().read_to_string().context("an answer broke off")?;
        let status = answer.status().as_u16();
        ensure!(matches!(status, 200 | 400), "a text of {} bytes was answered with {status}: {words}", body.len());
        answered += 1;
    }
    Ok(answered)
}
