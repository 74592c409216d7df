//! `carafe models verify`: whether a model's files are the manifest's, whether it computes what its
//! certificate records, and, with `--full`, whether it computes what its source does.
//!
//! The first two are this program's own work. The third is a certificate made anew, which is that
//! of the tools' Python, as for `add`.

use std::path::Path;

use anyhow::Result;
use carafe_models::ModelFolder;
use carafe_models::folder::VerifiedFile;
use serde_json::{Value, json};

use super::{rerun, tools};
use crate::arguments::Verify;
use crate::output;

/// Checks every file, then whatever else was asked for.
pub(super) fn run(folder: &ModelFolder, options: &Verify) -> Result<()> {
    let files = folder.verify()?;
    let repeated = if options.run { rerun::run(folder)? } else { Vec::new() };
    if !options.json {
        files.iter().try_for_each(|file| output::line(&file_line(file)))?;
        repeated.iter().try_for_each(|check| output::line(&format!("{check}: as in the certificate")))?;
    }
    let certificate = if options.full { Some(certify(folder.path(), options.source.as_deref())?) } else { None };
    if options.json {
        return output::json(&entry(folder, &files, &repeated, certificate));
    }
    certificate.iter().flat_map(certificate_lines).try_for_each(|line: String| output::line(&line))
}

fn certify(folder: &Path, source: Option<&Path>) -> Result<Value> {
    let python = tools::find_python()?;
    output::note(&format!("certifying is done by {}", python.display()));
    tools::certify(&python, folder, source)
}

fn file_line(file: &VerifiedFile) -> String {
    format!("{}: {} bytes, SHA-256 as in the manifest", file.name, file.size)
}

fn entry(folder: &ModelFolder, files: &[VerifiedFile], repeated: &[String], certificate: Option<Value>) -> Value {
    let file = |file: &VerifiedFile| json!({ "name": file.name, "size": file.size, "sha256": file.sha256 });
    let files: Vec<_> = files.iter().map(file).collect();
    let mut entry = json!({ "model": folder.manifest().name, "files": files, "repeated": repeated });
    if let Some(certificate) = certificate {
        entry["certificate"] = certificate;
    }
    entry
}

/// What was compared, how far apart it was, and what could not be compared.
fn certificate_lines(certificate: &Value) -> Vec<String> {
    let form = &certificate["form"];
    let name = form["name"].as_str().unwrap_or("only");
    let mut lines = vec![match form["tokens"].as_u64() {
        Some(tokens) => format!("certificate: {name} form, {} prompts of {tokens} tokens", form["sequences"]),
        None => format!("certificate: {name} form"),
    }];
    for kind in ["logits", "scores"] {
        let entries = certificate[kind].as_object().into_iter().flatten();
        lines.extend(entries.map(|(name, entry)| comparison_line(name, entry)));
    }
    if let Some(genai) = certificate.get("genai") {
        let (equal, prompts) = (&genai["equal_prompts"], &genai["prompts"]);
        lines.push(format!("greedy tokens of openvino_genai: {equal} of {prompts} prompts continued alike"));
    }
    let lacking = certificate["not_compared"].as_object().into_iter().flatten();
    lines.extend(lacking.map(|(name, reason)| format!("not compared with {name}: {}", words(reason))));
    lines
}

fn comparison_line(name: &str, entry: &Value) -> String {
    let limit = match entry["limit"].as_f64() {
        Some(limit) => format!("limit {limit:e}"),
        None => "reported".to_owned(),
    };
    format!("{name}: largest error {:e}, {limit}", entry["max_error"].as_f64().unwrap_or(f64::NAN))
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
