//! `carafe models inspect`: what a GGUF file holds, for people or as JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result};
use carafe_gguf::{Gguf, Value};

use crate::output::{self, mebibytes};

/// Most characters of a text that is shown to people.
const SHOWN: usize = 60;

/// Prints what is in a file.
pub(super) fn run(path: &Path, json: bool) -> Result<()> {
    let file = read(path)?;
    if json {
        return output::json(&file);
    }
    description(&file).iter().try_for_each(|line| output::line(line))?;
    output::line("metadata")?;
    for (key, value) in &file.metadata {
        output::line(&format!("  {key:<44} {}", shown(value)))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Gguf> {
    let failed = || format!("failed to read `{}`", path.display());
    let file = File::open(path).with_context(failed)?;
    let length = file.metadata().with_context(failed)?.len();
    Gguf::read(BufReader::new(file), length).with_context(failed)
}

fn description(file: &Gguf) -> Vec<String> {
    let architecture = file.text("general.architecture").unwrap_or("no architecture");
    let name = file.text("general.name").unwrap_or("no name");
    let mut lines = vec![
        format!("{name}: {architecture}, GGUF version {}", file.version),
        format!("licence     {}", file.text("general.license").unwrap_or("unknown")),
    ];
    lines.extend(sizes(file, architecture).map(|sizes| format!("sizes       {sizes}")));
    lines.extend(tokenizer(file).map(|tokenizer| format!("tokenizer   {tokenizer}")));
    lines.push(format!("tensors     {}", tensors(file)));
    lines
}

/// The sizes of a language model; none if the file does not say them.
fn sizes(file: &Gguf, architecture: &str) -> Option<String> {
    let size = |name: &str| file.metadata.get(&format!("{architecture}.{name}"))?.as_u64();
    let (context, layers, width) = (size("context_length")?, size("block_count")?, size("embedding_length")?);
    let heads = size("attention.head_count")?;
    let key_heads = size("attention.head_count_kv").unwrap_or(heads);
    Some(format!(
        "context {context} tokens, {layers} layers of {width}, {heads} heads ({key_heads} for keys and values)"
    ))
}

fn tokenizer(file: &Gguf) -> Option<String> {
    let kind = file.text("tokenizer.ggml.model")?;
    let tokens = file.metadata.get("tokenizer.ggml.tokens")?.as_array()?.len();
    let pre_tokenizer =
        file.text("tokenizer.ggml.pre").map_or(String::new(), |name| format!(", pre-tokenizer `{name}`"));
    let template = if file.text("tokenizer.chat_template").is_some() { "a chat template" } else { "no chat template" };
    Some(format!("{kind}{pre_tokenizer}, {tokens} tokens, {template}"))
}

/// How many tensors there are of each type, and their bytes.
fn tensors(file: &Gguf) -> String {
    let mut types = BTreeMap::<String, (usize, u64)>::new();
    for tensor in &file.tensors {
        let (count, bytes) = types.entry(format!("{:?}", tensor.kind)).or_default();
        (*count, *bytes) = (*count + 1, *bytes + tensor.size);
    }
    let types = types.into_iter().map(|(kind, (count, bytes))| format!("{count} of {kind} ({})", mebibytes(bytes)));
    format!("{} in all; {}", file.tensors.len(), types.collect::<Vec<_>>().join(", "))
}

/// A value on one line. What is cut says so.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => {
            let first: String = text.chars().take(SHOWN).collect();
            let rest = text.chars().count().saturating_sub(SHOWN);
            if rest > 0 { format!("{first:?}, and {rest} characters more") } else { format!("{text:?}") }
        }
        Value::Array(array) => format!("{} values", array.len()),
        Value::Bool(value) => value.to_string(),
        Value::U8(value) => value.to_string(),
        Value::I8(value) => value.to_string(),
        Value::U16(value) => value.to_string(),
        Value::I16(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
    }
}
