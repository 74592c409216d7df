//! `carafe models show`: a manifest and its certificate, for people or as JSON.

use std::fs;

use anyhow::Result;
use carafe_models::certificate::Comparison;
use carafe_models::manifest::GenerationDefaults;
use carafe_models::{Certificate, Manifest, ModelFolder};
use serde_json::{Value, json};

use super::licence;
use crate::output::{self, mebibytes};

/// Prints a model.
pub(super) fn run(folder: &ModelFolder, json: bool) -> Result<()> {
    let certificate = folder.certificate()?;
    if json {
        return output::json(&as_json(folder)?);
    }
    let manifest = folder.manifest();
    description(manifest).iter().try_for_each(|line| output::line(line))?;
    for file in manifest.files.all() {
        output::line(&format!("  {:<16} {:>11}  {}", file.path, mebibytes(file.size), file.sha256))?;
    }
    proof(&certificate).iter().try_for_each(|line| output::line(line))
}

fn description(manifest: &Manifest) -> Vec<String> {
    let mut lines = vec![
        format!("{}: {}", manifest.name, manifest.description),
        format!("task        {}", manifest.task.name()),
        format!("licence     {}", licence::words(&manifest.licence.spdx)),
        format!("made from   {} (SHA-256 {})", manifest.provenance.source, manifest.provenance.source_sha256),
        format!("made by     {}, OpenVINO {}", manifest.provenance.tool, manifest.provenance.openvino),
    ];
    if let Some(text) = &manifest.text {
        let (context, vocabulary) = (text.context_length, text.vocabulary_size);
        let template = if manifest.can_chat() { "a chat template" } else { "no chat template" };
        lines.push(format!(
            "text        context {context} tokens, vocabulary {vocabulary}, {} bits a weight, {template}",
            text.weight_bits
        ));
        lines.extend(defaults(&text.generation).map(|defaults| format!("defaults    {defaults}")));
    }
    if let Some(image) = &manifest.image {
        lines.push(format!("image       {} x {}, {:?}, {:?}", image.width, image.height, image.layout, image.resize));
    }
    lines.push("files".to_owned());
    lines
}

/// What holds where a request says nothing; none if the model's makers do not say it.
fn defaults(generation: &GenerationDefaults) -> Option<String> {
    let GenerationDefaults { temperature, top_k, top_p, min_p, repetition_penalty } = generation;
    let numbers = [
        ("temperature", *temperature),
        ("top_p", *top_p),
        ("min_p", *min_p),
        ("repetition_penalty", *repetition_penalty),
    ];
    let numbers = numbers.iter().filter_map(|(name, value)| Some(format!("{name} {}", (*value)?)));
    let all: Vec<String> = numbers.chain(top_k.map(|count| format!("top_k {count}"))).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn proof(certificate: &Certificate) -> Vec<String> {
    let verdict = if certificate.passed { "every gate passed" } else { "NOT passed" };
    let mut lines = vec![format!("certificate {verdict}, with OpenVINO {}", certificate.openvino)];
    lines.extend(certificate.logits.iter().chain(&certificate.scores).map(|(name, comparison)| row(name, comparison)));
    lines
}

fn row(name: &str, comparison: &Comparison) -> String {
    let limit = comparison.limit.map_or("reported".to_owned(), |limit| format!("at most {limit:.2e}"));
    let agreement =
        comparison.argmax_agreement.map_or(String::new(), |share| format!(", same best {:.1} %", share * 100.0));
    format!("  {name:<44} error {:.2e} ({limit}){agreement}", comparison.max_error)
}

/// Manifest and certificate as they are in the folder.
fn as_json(folder: &ModelFolder) -> Result<Value> {
    let manifest: Value = toml_to_json(&fs::read_to_string(folder.path().join(carafe_models::folder::MANIFEST))?)?;
    let certificate: Value = serde_json::from_slice(&folder.read(&folder.manifest().files.certificate)?)?;
    Ok(json!({ "path": folder.path(), "manifest": manifest, "certificate": certificate }))
}

fn toml_to_json(text: &str) -> Result<Value> {
    Ok(toml::from_str(text)?)
}
