//! The documents against a running server: their commands work as they are written, their answers
//! have the shape that is shown, and what programs write is what they would write now.
//!
//! Blocks of Python and JavaScript are run by `clients/test_documents.py` and
//! `clients/documents.test.mjs`. A small model stands in for the default one, under its name.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use carafe_e2e::chat::{TURNS_TEMPLATE, chat_model};
use carafe_e2e::documents::{Block, blocks, documents, read};
use carafe_e2e::server::Server;
use carafe_e2e::{binary, root};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The default model, as documents call it.
const DEFAULT_MODEL: &str = "smollm2-135m-instruct";
/// Blocks that are run, here or by the clients' tests.
const RUN: [&str; 3] = ["sh", "python", "js"];
/// Blocks that hold data.
const DATA: [&str; 8] = ["haproxy", "ini", "json", "nginx", "promql", "text", "toml", "yaml"];
const API: &str = "docs/http-api.md";

/// A server of the models that documents name, their folder, and one for what commands write.
struct Reader {
    server: Server,
    models: TempDir,
    scratch: TempDir,
}

impl Reader {
    fn new() -> Result<Self> {
        let models = chat_model("models/tales", DEFAULT_MODEL, TURNS_TEMPLATE)?;
        let folder = models.path().to_string_lossy().into_owned();
        let names = ["--model", DEFAULT_MODEL, "--model", "tales", "--model", "mobilenet-v2"];
        Ok(Self {
            server: Server::start(&[&["--models", &folder][..], &names].concat())?,
            models,
            scratch: TempDir::new()?,
        })
    }

    /// Runs a block as somebody does who has installed `carafe`; what it prints.
    fn run(&self, block: &Block) -> Result<String> {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &block.text]).current_dir(root());
        let program = binary()?;
        let folder = program.parent().context("a program lies in a folder")?;
        let path = env::join_paths(
            [folder.into()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
        )?;
        bash.env("PATH", path).env("CARAFE", self.server.url()).env("CARAFE_MODELS", self.models.path());
        bash.env("TMPDIR", self.scratch.path())
            .env("XDG_DATA_HOME", "/nonexistent")
            .env("XDG_CACHE_HOME", "/nonexistent");
        let output = bash.output()?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (said(&output.stdout), said(&output.stderr));
        ensure!(output.status.success(), "{}: {}\n{out}\n{err}", block.place(), block.text);
        Ok(out)
    }
}

fn all_blocks() -> Result<Vec<Block>> {
    let blocks: Vec<Vec<Block>> = documents()?.iter().map(|document| blocks(document)).collect::<Result<_>>()?;
    Ok(blocks.concat())
}

/// Names a value's shape: the fields of objects, the shape of an array's first entry. Objects whose
/// keys are data are all alike.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), if name == "top_logprobs" { json!("tokens") } else { shape(value) }))
            .collect(),
        Value::Array(values) => values.first().map_or(json!([]), |value| json!([shape(value)])),
        Value::Null => Value::Null,
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
    }
}

#[test]
fn every_block_of_a_document_is_data_or_is_run_or_says_why_not() -> Result<()> {
    for block in all_blocks()? {
        let (place, kind) = (block.place(), block.kind.as_str());
        ensure!(
            RUN.contains(&kind) || DATA.contains(&kind),
            "{place}: a block of `{kind}`; expected one that is run ({}) or data ({})",
            RUN.join(", "),
            DATA.join(", ")
        );
        ensure!(block.not_run != Some(String::new()), "{place}: `not run` wants a reason");
        ensure!(block.not_run.is_none() || RUN.contains(&kind), "{place}: data are never run; take the reason away");
    }
    Ok(())
}

#[test]
fn every_command_of_the_documents_works_as_it_is_written() -> Result<()> {
    let reader = Reader::new()?;
    let (mut compared, blocks) = (0, all_blocks()?);
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == "sh" && block.not_run.is_none()) {
        let said = reader.run(block)?;
        let next = blocks.get(index + 1).filter(|next| block.document == API && next.kind == "json");
        let Some(next) = next else { continue };
        let shown: Value = serde_json::from_str(&next.text).with_context(|| next.place())?;
        let answer: Value = serde_json::from_str(&said).with_context(|| format!("{said}\n{}", block.place()))?;
        assert_eq!(shape(&answer), shape(&shown), "{}", next.place());
        compared += 1;
    }
    assert_eq!(compared, 10, "answers that are shown");
    Ok(())
}

#[test]
fn the_document_of_metrics_lists_exactly_what_there_is() -> Result<()> {
    let reader = Reader::new()?;
    for block in blocks(API)?.iter().filter(|block| block.kind == "sh") {
        reader.run(block)?;
    }
    let metrics = reader.server.get("/metrics")?.body;
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let name = |(name, kind): (&str, &str)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
    let there: BTreeSet<String> = types.map(name).collect();
    let document = read("docs/metrics.md")?;
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(rows.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>(), there);
    for name in there {
        let is_used = metrics.lines().any(|line| line.starts_with(&name));
        assert!(is_used, "`{name}` has no figure after every command of {API} was run");
    }
    Ok(())
}

#[test]
fn what_programs_write_into_the_book_is_what_they_would_write_now() -> Result<()> {
    for (what, document) in [("command-line", "docs/command-line.md"), ("openapi", "docs/openapi.json")] {
        let now = carafe_e2e::run(&["reference", what])?;
        ensure!(now.code == Some(0), "{}", now.err);
        assert!(
            now.out == read(document)?,
            "`{document}` is of another version; `cargo xtask reference` writes it anew"
        );
    }
    let server = Server::start(&["--model", "tales"])?;
    let copy: Value = serde_json::from_str(&read("docs/openapi.json")?)?;
    assert_eq!(server.get("/openapi.json")?.json()?, copy);
    Ok(())
}

#[test]
fn the_manifest_that_is_shown_is_that_of_the_model() -> Result<()> {
    let shown = blocks("docs/manifest.md")?.into_iter().find(|block| block.kind == "toml");
    assert_eq!(shown.context("a manifest is shown")?.text, read("models/tales/model.toml")?);
    Ok(())
}
