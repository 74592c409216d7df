//! The documents against a running server: their commands work as they are written, their answers
//! have the shape that is shown, and the list of metrics is whole.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use carafe_e2e::root;
use carafe_e2e::server::Server;
use serde_json::{Value, json};

/// A block of a document: its language and text.
type Block = (String, String);

fn blocks(document: &str) -> Result<Vec<Block>> {
    let text = fs::read_to_string(root().join(document))?;
    // Every second part between fences is a block.
    let parts = text.split("```").skip(1).step_by(2);
    Ok(parts.filter_map(|part| part.split_once('\n')).map(|(kind, text)| (kind.to_owned(), text.to_owned())).collect())
}

fn run(command: &str, server: &Server) -> Result<String> {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", command]).current_dir(root()).env("CARAFE", server.url());
    let output = bash.output()?;
    ensure!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8(output.stdout)?)
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
fn every_command_of_the_api_works_as_it_is_written() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--model", "mobilenet-v2"])?;
    let blocks = blocks("docs/http-api.md")?;
    let mut compared = 0;
    for (index, (kind, command)) in blocks.iter().enumerate().filter(|(_, (kind, _))| kind == "sh") {
        let said = run(command, &server)?;
        let Some((_, shown)) = blocks.get(index + 1).filter(|(kind, _)| kind == "json") else { continue };
        let shown: Value = serde_json::from_str(shown).with_context(|| format!("{kind} after {command}"))?;
        let answer: Value = serde_json::from_str(&said).with_context(|| format!("{said}\n{command}"))?;
        assert_eq!(shape(&answer), shape(&shown), "{command}");
        compared += 1;
    }
    assert_eq!(compared, 8, "answers that are shown");
    Ok(())
}

#[test]
fn the_document_of_metrics_lists_exactly_what_there_is() -> Result<()> {
    let server = Server::start(&["--model", "tales", "--model", "mobilenet-v2"])?;
    for (_, command) in blocks("docs/http-api.md")?.iter().filter(|(kind, _)| kind == "sh") {
        run(command, &server)?;
    }
    let metrics = server.get("/metrics")?.body;
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let name = |(name, kind): (&str, &str)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
    let there: BTreeSet<String> = types.map(name).collect();
    let document = fs::read_to_string(root().join("docs/metrics.md"))?;
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(rows.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>(), there);
    for name in there {
        let is_used = metrics.lines().any(|line| line.starts_with(&name));
        assert!(is_used, "`{name}` has no figure after every command of docs/http-api.md was run");
    }
    Ok(())
}
