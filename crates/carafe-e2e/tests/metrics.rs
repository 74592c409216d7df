//! The figures of a running server: which are there for which kind of model, and what moves them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use carafe_e2e::root;
use carafe_e2e::server::{Server, wait};
use tempfile::TempDir;

const TEXT: &str = "tales";
const IMAGE: &str = "mobilenet-v2";

/// The labels of a sample.
type Labels = BTreeMap<String, String>;

/// Classifies a picture of the tree, or any file.
fn classify(server: &Server, file: &str) -> Result<u16> {
    let file = format!("@{file}");
    let sent =
        server.curl("/v1/classify", &["-H", "Content-Type: application/octet-stream", "--data-binary", &file])?;
    Ok(sent.status)
}

/// The labels of every sample by the name of its metric, without `le` of histograms.
fn samples(server: &Server) -> Result<BTreeMap<String, Vec<Labels>>> {
    let metrics = server.get("/metrics")?.body;
    let mut samples: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').with_context(|| format!("`{line}` has no value"))?;
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let labels = labels.strip_suffix('}').context("labels end")?;
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        samples.entry(name.to_owned()).or_default().push(labels.filter(|(name, _)| name != "le").collect());
    }
    Ok(samples)
}

/// The rows of the document's table: name, type, models, labels, words.
fn documented() -> Result<Vec<[String; 5]>> {
    let document = fs::read_to_string(root().join("docs/metrics.md"))?;
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| -> Vec<String> {
        row.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    };
    rows.map(|row| cells(row).try_into().map_err(|cells| anyhow!("not five cells: {cells:?}"))).collect()
}

/// The model that a sample is of; empty for the server's own.
fn model(labels: &Labels) -> String {
    labels.get("model").or_else(|| labels.get("gen_ai_request_model")).cloned().unwrap_or_default()
}

#[test]
fn every_figure_is_there_for_every_model_of_its_kind_before_it_has_done_anything() -> Result<()> {
    let server = Server::start(&["--model", TEXT, "--model", IMAGE])?;
    let (samples, rows) = (samples(&server)?, documented()?);
    assert_eq!(rows.len(), samples.len(), "{:?}", samples.keys());
    for [name, _, models, labels, _] in rows {
        let samples = samples.get(name.trim_matches('`')).with_context(|| format!("{name} has no figure"))?;
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned()).filter(|label| label != "—");
        let labels: BTreeSet<String> = labels.collect();
        for sample in samples {
            assert_eq!(sample.keys().cloned().collect::<BTreeSet<_>>(), labels, "{name}");
        }
        let models: &[&str] = match models.as_str() {
            "every" => &[IMAGE, TEXT],
            "text" => &[TEXT],
            "image" => &[IMAGE],
            _ => &[""],
        };
        assert_eq!(
            samples.iter().map(model).collect::<BTreeSet<_>>(),
            models.iter().map(|&name| name.into()).collect()
        );
    }
    Ok(())
}

#[test]
fn an_image_guest_that_traps_is_counted_with_its_memory_and_no_text_guest_is() -> Result<()> {
    let server = Server::start(&["--model", "tiny", "--model", IMAGE, "--image-workers", "1", "--guest-memory", "16"])?;
    let folder = TempDir::new()?;
    let large = folder.path().join("large");
    // The file alone is more than the guest may have.
    fs::write(&large, vec![0xff; 18 << 20])?;
    assert_eq!(classify(&server, &large.to_string_lossy())?, 500);
    let figure = |name: &str, model: &str| server.figure(&format!("{name}{{model=\"{model}\"}}"));
    assert_eq!(figure("carafe_guest_replacements_total", IMAGE)?, 1.0);
    assert_eq!(figure("carafe_guest_replacements_total", "tiny")?, 0.0);
    let memory = figure("carafe_guest_memory_bytes", IMAGE)?;
    assert!(memory > 0.0 && memory <= f64::from(16 << 20), "{memory}");
    assert_eq!(classify(&server, &root().join("images/parrot.jpg").to_string_lossy())?, 200);
    Ok(())
}

#[test]
fn images_that_run_and_images_that_wait_are_counted_apart() -> Result<()> {
    let server = Server::start(&["--model", IMAGE, "--image-workers", "1"])?;
    let picture = root().join("images/cat_720p.jpg").to_string_lossy().into_owned();
    let enough = AtomicBool::new(false);
    let figure = |name: &str| server.figure(&format!("carafe_num_requests_{name}{{model=\"{IMAGE}\"}}"));
    let is_full = || Ok(figure("running")? == 1.0 && figure("waiting")? >= 1.0);
    let is_empty = || Ok(figure("running")? == 0.0 && figure("waiting")? == 0.0);
    thread::scope(|scope| {
        for _ in 0..4 {
            // They send one picture after the other for as long as it takes to be seen.
            scope.spawn(|| {
                loop {
                    let sent = classify(&server, &picture);
                    if sent.is_err() || enough.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let seen = wait("an image to run and another to wait", is_full);
        enough.store(true, Ordering::Relaxed);
        seen
    })?;
    wait("the images to end", is_empty)
}
