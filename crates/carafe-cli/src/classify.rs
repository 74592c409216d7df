//! `carafe classify`: says what images show, and what each of the three calls into the guest took.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carafe_host::Sandbox;
use carafe_host::image::{Classification, ImageModel};
use carafe_models::Task;
use serde_json::{Value, json};

use crate::arguments::Classify;
use crate::machine::{self, Loaded};
use crate::output::{self, mebibytes};

/// Largest image file that is read; the guest refuses larger ones as well.
const MAX_FILE: u64 = 20 << 20;

/// Runs the command. An image that is refused does not stop the others, but the exit code tells.
pub(crate) fn run(options: &Classify) -> Result<ExitCode> {
    let loaded = machine::load(&options.running, &options.model, Task::ImageClassification)?;
    let model = ImageModel::start(&Sandbox::new()?, &loaded.model, options.running.limits(), NonZeroU32::MIN)?;
    let mut results = Vec::new();
    for path in &options.images {
        let result = classify(&model, path, options.top);
        match &result {
            Ok(classification) if !options.json => print(path, classification)?,
            Ok(_) => {}
            Err(error) => output::error(error),
        }
        results.push((path, result));
    }
    if options.json {
        output::json(&results.iter().map(|(path, result)| as_json(path, result)).collect::<Vec<_>>())?;
    }
    let memory = results.iter().filter_map(|(_, result)| Some(result.as_ref().ok()?.guest_memory)).max();
    output::note(&summary(options, &loaded, memory));
    Ok(if results.iter().all(|(_, result)| result.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn classify(model: &ImageModel, path: &Path, top: u32) -> Result<Classification> {
    let name = path.display();
    let size = fs::metadata(path).with_context(|| format!("failed to read `{name}`"))?.len();
    if size > MAX_FILE {
        bail!("`{name}` has {size} bytes; an image file may have {MAX_FILE}");
    }
    let image = fs::read(path).with_context(|| format!("failed to read `{name}`"))?;
    model.classify_blocking(image, top).with_context(|| format!("failed to classify `{name}`"))
}

fn print(path: &Path, classification: &Classification) -> Result<()> {
    let Classification { width, height, times, .. } = classification;
    output::line(&format!("{} ({width} x {height})", path.display()))?;
    for label in &classification.labels {
        output::line(&format!("  {:5.1} %  {}", f64::from(label.probability) * 100.0, label.text))?;
    }
    let [decode, resize, model] = [times.decode, times.resize, times.model].map(milliseconds);
    output::line(&format!("  decode {decode:.1} ms, resize {resize:.1} ms, model {model:.1} ms"))
}

fn as_json(path: &Path, result: &Result<Classification>) -> Value {
    let classification = match result {
        Ok(classification) => classification,
        Err(error) => return json!({ "image": path, "error": format!("{error:#}") }),
    };
    let label = |label: &carafe_host::image::Label| json!({ "index": label.index, "label": label.text, "probability": label.probability });
    let times = &classification.times;
    json!({
        "image": path,
        "width": classification.width,
        "height": classification.height,
        "labels": classification.labels.iter().map(label).collect::<Vec<_>>(),
        "decode_ms": milliseconds(times.decode),
        "resize_ms": milliseconds(times.resize),
        "model_ms": milliseconds(times.model),
        "guest_memory_bytes": classification.guest_memory,
    })
}

fn summary(options: &Classify, loaded: &Loaded, guest_memory: Option<u64>) -> String {
    let memory = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), mebibytes);
    format!(
        "\n{}: {}, OpenVINO {}\nsandboxed, guest memory {} of {} MiB, host memory {}",
        options.model,
        loaded.profile_words(),
        loaded.runtime.version(),
        memory(guest_memory),
        options.running.guest_memory,
        memory(machine::peak_memory())
    )
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
