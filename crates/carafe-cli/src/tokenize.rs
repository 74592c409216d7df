//! `carafe tokenize`: text to token ids and back, through the sandbox.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use carafe_host::tokenizer::{Token, Tokenizer};
use carafe_host::{Limits, Sandbox};
use carafe_models::Task;
use serde_json::json;

use crate::arguments::Tokenize;
use crate::{machine, output};

/// Runs the command.
pub(crate) fn run(options: &Tokenize) -> Result<ExitCode> {
    let text = match &options.text {
        Some(text) => text.clone(),
        None => output::standard_input("a text")?,
    };
    let mut tokenizer = open(options)?;
    if options.decode {
        decode(&mut tokenizer, &text, options.json)?;
    } else {
        encode(&mut tokenizer, &text, options.json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(options: &Tokenize) -> Result<Tokenizer> {
    let (name, file) = match &options.tokenizer {
        Some(path) => {
            let name = path.display().to_string();
            let file = fs::read(path).with_context(|| format!("failed to read `{name}`"))?;
            (name, file)
        }
        None => {
            let folder = machine::find(&options.places, &options.model, Task::TextGeneration)?;
            let Some(file) = &folder.manifest().files.tokenizer else {
                bail!("model `{}` has no tokenizer", options.model);
            };
            (options.model.clone(), folder.read(file)?)
        }
    };
    Ok(Tokenizer::open(&Sandbox::new()?, &name, &file, Limits::default())?)
}

fn encode(tokenizer: &mut Tokenizer, text: &str, json: bool) -> Result<()> {
    let tokens = tokenizer.encode(text)?;
    if json {
        let token = |token: &Token| json!({ "id": token.id, "text": lossy(token), "bytes": token.bytes });
        let list: Vec<_> = tokens.iter().map(token).collect();
        return output::json(&json!({ "count": tokens.len(), "tokens": list }));
    }
    for token in &tokens {
        output::line(&format!("{:6}  {:?}", token.id, lossy(token)))?;
    }
    output::note(&format!("{} tokens", tokens.len()));
    Ok(())
}

/// A token's text; a part of a character becomes U+FFFD.
fn lossy(token: &Token) -> String {
    String::from_utf8_lossy(&token.bytes).into_owned()
}

fn decode(tokenizer: &mut Tokenizer, text: &str, json: bool) -> Result<()> {
    let words =
        text.split(|character: char| character == ',' || character.is_whitespace()).filter(|word| !word.is_empty());
    let parse = |word: &str| word.parse::<u32>().with_context(|| format!("`{word}` is no token id"));
    let tokens = words.map(parse).collect::<Result<Vec<u32>>>()?;
    let text = tokenizer.decode(&tokens)?;
    if json { output::json(&json!({ "count": tokens.len(), "text": text })) } else { output::line(&text) }
}
