//! Image models: the same image again and again, a given number at a time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carafe_host::Sandbox;
use carafe_host::image::{Classification, ImageModel};
use carafe_models::Task;
use serde_json::{Value, json};

use super::timing::median;
use crate::arguments::Bench;
use crate::machine;
use crate::output;

/// One image of a run: when it was sent and answered, and its parts.
struct ImageTimes {
    sent: Duration,
    done: Duration,
    classification: Classification,
}

/// Measures an image model.
pub(super) fn run(options: &Bench, path: &Path) -> Result<()> {
    let image = fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let loaded = machine::load(&options.running, &options.model, Task::ImageClassification)?;
    // As the server does where several images may come at once.
    let workers = machine::processors();
    let graph = loaded.model.clone().with_side_by_side(&loaded.runtime, workers)?;
    let model = ImageModel::start(&Sandbox::new()?, &graph, options.running.limits(), workers)?;
    model.classify_blocking(image.clone(), 1).with_context(|| format!("failed to classify `{}`", path.display()))?;
    let mut runs = Vec::new();
    for _ in 0..options.rounds {
        for &concurrent in &options.concurrent {
            runs.push((concurrent, classify(&model, &image, options.images, concurrent)?));
        }
    }
    if options.json {
        return output::json(&as_json(options, &runs));
    }
    options.concurrent.iter().try_for_each(|&concurrent| print(&runs, concurrent))
}

/// Classifies the image so often, `concurrent` at a time.
fn classify(model: &ImageModel, image: &[u8], count: u32, concurrent: u32) -> Result<Vec<ImageTimes>> {
    let (began, left) = (Instant::now(), AtomicU32::new(count));
    let send = || {
        let mut times = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let sent = began.elapsed();
            let classification = model.classify_blocking(image.to_vec(), 1)?;
            times.push(ImageTimes { sent, done: began.elapsed(), classification });
        }
        Ok(times)
    };
    thread::scope(|scope| {
        let senders: Vec<_> = (0..concurrent).map(|_| scope.spawn(send)).collect();
        let times = senders.into_iter().map(|sender| sender.join().unwrap_or_else(|_| bail!("a sender panicked")));
        Ok(times.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

fn print(runs: &[(u32, Vec<ImageTimes>)], concurrent: u32) -> Result<()> {
    let runs: Vec<&Vec<ImageTimes>> = runs.iter().filter(|(of, _)| *of == concurrent).map(|(_, run)| run).collect();
    let rate = median(runs.iter().map(|run| images_per_second(run)).collect());
    let part = |part: fn(&ImageTimes) -> Duration| {
        median(runs.iter().flat_map(|run| run.iter().map(part)).map(|time| time.as_secs_f64() * 1e3).collect())
    };
    output::line(&format!(
        "{concurrent} at a time: {rate:.1} images/s, each {:.1} ms (decode {:.1}, resize {:.1}, model {:.1})",
        part(|image| image.done - image.sent),
        part(|image| image.classification.times.decode),
        part(|image| image.classification.times.resize),
        part(|image| image.classification.times.model),
    ))
}

fn images_per_second(run: &[ImageTimes]) -> f64 {
    let last = run.iter().map(|image| image.done).max().unwrap_or_default();
    run.len() as f64 / last.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn as_json(options: &Bench, runs: &[(u32, Vec<ImageTimes>)]) -> Value {
    let image = |image: &ImageTimes| {
        let times = &image.classification.times;
        let [decode, resize, model] = [times.decode, times.resize, times.model].map(|time| time.as_secs_f64() * 1e3);
        json!({
            "sent": image.sent.as_secs_f64(),
            "done": image.done.as_secs_f64(),
            "decode_ms": decode,
            "resize_ms": resize,
            "model_ms": model,
        })
    };
    let run = |(concurrent, run): &(u32, Vec<ImageTimes>)| {
        json!({
            "concurrent": concurrent,
            "images": run.iter().map(image).collect::<Vec<_>>(),
            "images_per_second": images_per_second(run),
        })
    };
    let guest_memory = runs.iter().flat_map(|(_, run)| run).map(|image| image.classification.guest_memory).max();
    json!({
        "model": options.model,
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
        "guest_memory_bytes": guest_memory,
        "memory": machine::memory(),
    })
}
