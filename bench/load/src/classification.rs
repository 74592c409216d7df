//! Images to classify, so many at a time, each sender sending its next one when the last is
//! answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

/// How long an image may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the image so often, `concurrent` at a time; when each was sent and answered, and the
/// server's own times of its parts.
pub(crate) fn run(url: &str, model: &str, image: &[u8], count: usize, concurrent: usize) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let url = format!("{url}/v1/classify?model={model}");
    let (image, left, began) = (Arc::<[u8]>::from(image), Arc::new(AtomicUsize::new(count)), Instant::now());
    let start = |_| {
        let (agent, url, image, left) = (agent.clone(), url.clone(), image.clone(), left.clone());
        thread::spawn(move || send(&agent, &url, &image, &left, began))
    };
    let threads: Vec<_> = (0..concurrent).map(start).collect();
    let mut images = Vec::new();
    for thread in threads {
        images.extend(thread.join().map_err(|_| anyhow!("a sender's thread panicked"))??);
    }
    Ok(json!({ "images": images, "wall_seconds": began.elapsed().as_secs_f64() }))
}

/// Sends images while there are any left.
fn send(agent: &ureq::Agent, url: &str, image: &[u8], left: &AtomicUsize, began: Instant) -> Result<Vec<Value>> {
    let mut images = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let sent = began.elapsed().as_secs_f64();
        let answer = agent.post(url).header("content-type", "image/jpeg").send(image);
        let mut answer = answer.with_context(|| format!("`{url}` did not take an image"))?;
        let text = answer.body_mut().read_to_string().context("failed to read an answer")?;
        let mut image: Value = serde_json::from_str(&text).context("an answer is no JSON")?;
        let mut image = image["times"].take();
        image["sent"] = json!(sent);
        image["done"] = json!(began.elapsed().as_secs_f64());
        images.push(image);
    }
    Ok(images)
}
