//! The licences of all crates that are compiled into the program and its guests, in full.
//!
//! Most crates carry their licence's text. The few that do not name it by its SPDX expression; for
//! these the text of another crate with the same expression stands, and where there is none the
//! artefacts are not made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::install::files;
use crate::setup::WASM;
use crate::shell::{cargo, output};

const HOST: &str = "x86_64-unknown-linux-gnu";
/// Packages that are compiled, and for what.
const COMPILED: [(&str, &str); 3] = [("carafe-cli", HOST), ("carafe-guest-text", WASM), ("carafe-guest-image", WASM)];
/// How the names of files with licences begin.
const BEGINNINGS: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
const RULE: &str = "================================================================================";

/// A crate of others.
struct Crate {
    /// `serde 1.0.0`.
    name: String,
    expression: String,
    address: String,
    texts: Vec<String>,
}

/// A document with all licences.
pub(super) fn of_crates() -> Result<String> {
    let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
    for (package, target) in COMPILED {
        let compiled = compiled(package, target)?;
        let found = described(target)?.into_iter().filter(|found| compiled.contains(&found.name));
        crates.extend(found.map(|found| (found.name.clone(), found)));
    }
    let crates: Vec<Crate> = crates.into_values().collect();
    ensure!(!crates.is_empty(), "cargo names no crates that are compiled");
    document(&crates)
}

/// Names with versions of what a package is compiled from.
fn compiled(package: &str, target: &str) -> Result<BTreeSet<String>> {
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let lines = output(cargo(&tree).args(["--package", package, "--target", target]))?;
    // `serde v1.0.0 (proc-macro)`
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    Ok(lines.lines().filter_map(name).collect())
}

/// What cargo knows of the crates of others.
fn described(target: &str) -> Result<Vec<Crate>> {
    let metadata = output(&mut cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("failed to read what `cargo metadata` says")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
    packages.iter().filter(|package| !package["source"].is_null()).map(read).collect()
}

fn read(package: &Value) -> Result<Crate> {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let manifest = text("manifest_path");
    let folder = Path::new(&manifest).parent().context("a manifest lies in a folder")?;
    Ok(Crate {
        name: format!("{} {}", text("name"), text("version")),
        expression: text("license"),
        address: text("repository"),
        texts: texts(folder)?,
    })
}

/// The texts of the files in a crate that look like licences.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut files = files(folder)?;
    files.sort();
    let is_licence = |file: &&std::path::PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    let text = |file: &std::path::PathBuf| {
        let bytes = fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', "").trim().to_owned())
    };
    files.iter().filter(is_licence).map(text).collect()
}

fn document(crates: &[Crate]) -> Result<String> {
    let mut by_text: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in crates {
        for text in texts_or_those_of_another(one, crates)? {
            by_text.entry(text).or_default().push(&one.name);
        }
    }
    let mut document = String::from(
        "Carafe is compiled from these crates of others, and from Rust's standard library (MIT OR Apache-2.0,\n\
         https://github.com/rust-lang/rust). The texts of their licences follow, each with the crates that it is of.\n\n",
    );
    for Crate { name, expression, address, .. } in crates {
        writeln!(document, "{name}: {expression}{}{address}", if address.is_empty() { "" } else { ", " })?;
    }
    for (text, names) in by_text {
        writeln!(document, "\n{RULE}\n{}\n{RULE}\n\n{text}", names.join(", "))?;
    }
    Ok(document)
}

fn texts_or_those_of_another<'a>(one: &'a Crate, crates: &'a [Crate]) -> Result<&'a [String]> {
    if !one.texts.is_empty() {
        return Ok(&one.texts);
    }
    let mut others = crates.iter().filter(|other| other.expression == one.expression && !other.texts.is_empty());
    let other = others.next().with_context(|| {
        format!("the crate {} has no text of its licence, `{}`, and no other crate has it", one.name, one.expression)
    })?;
    Ok(&other.texts)
}
