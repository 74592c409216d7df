//! `carafe tokenize`: text to token ids and back, through the sandbox or, to compare, without.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use carafe_core::tokenizer as native;
use carafe_host::tokenizer::{EncodeOptions, Token, Tokenizer, compact_form};
use carafe_host::{Limits, Sandbox};
use carafe_models::Task;
use serde_json::{Value, json};

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
    } else if options.lines {
        encode_lines(&mut tokenizer, &text, encode_options(options))?;
    } else {
        encode(&mut tokenizer, &text, options)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn encode_options(options: &Tokenize) -> EncodeOptions {
    EncodeOptions { add_special_tokens: !options.no_add_special_tokens, parse_special: options.parse_special }
}

/// A tokenizer, in the sandbox or out of it.
enum Opened {
    Guest(Box<Tokenizer>),
    Native(Box<native::Tokenizer>),
}

impl Opened {
    fn encode(&mut self, text: &str, options: EncodeOptions) -> Result<Vec<Token>> {
        match self {
            Self::Guest(tokenizer) => Ok(tokenizer.encode(text, options)?),
            Self::Native(tokenizer) => {
                let EncodeOptions { add_special_tokens, parse_special } = options;
                let ids = tokenizer.encode(text, native::EncodeOptions { add_special_tokens, parse_special })?;
                let token = |id| Token { id, bytes: tokenizer.token_bytes(id).unwrap_or_default() };
                Ok(ids.into_iter().map(token).collect())
            }
        }
    }

    fn decode(&mut self, tokens: &[u32]) -> Result<String> {
        match self {
            Self::Guest(tokenizer) => Ok(tokenizer.decode(tokens)?),
            Self::Native(tokenizer) => Ok(tokenizer.decode(tokens)?),
        }
    }

    /// What the guest took, opening it included; nothing without one.
    fn guest(&self) -> Value {
        match self {
            Self::Guest(tokenizer) => json!({
                "memory_bytes": tokenizer.guest_memory(),
                "opening_seconds": tokenizer.opening().as_secs_f64(),
            }),
            Self::Native(_) => Value::Null,
        }
    }
}

fn open(options: &Tokenize) -> Result<Opened> {
    let (name, file) = match &options.tokenizer {
        Some(path) => {
            let name = path.display().to_string();
            let file = fs::read(path).with_context(|| format!("failed to read `{name}`"))?;
            (name, file)
        }
        None => {
            let folder = machine::find(&options.directories, &options.model, Task::TextGeneration)?;
            let Some(file) = &folder.manifest().files.tokenizer else {
                bail!("model `{}` has no tokenizer", options.model);
            };
            (options.model.clone(), folder.read(file)?)
        }
    };
    let form = compact_form(&name, &file)?;
    if options.native {
        return Ok(Opened::Native(Box::new(native::Tokenizer::open(&form)?)));
    }
    Ok(Opened::Guest(Box::new(Tokenizer::open(&Sandbox::new()?, &name, form, Limits::default())?)))
}

fn encode(tokenizer: &mut Opened, text: &str, options: &Tokenize) -> Result<()> {
    let tokens = tokenizer.encode(text, encode_options(options))?;
    if options.json {
        let token = |token: &Token| json!({ "id": token.id, "text": lossy(token), "bytes": token.bytes });
        let list: Vec<_> = tokens.iter().map(token).collect();
        return output::json(&json!({ "count": tokens.len(), "tokens": list, "guest": tokenizer.guest() }));
    }
    for token in &tokens {
        output::line(&format!("{:6}  {:?}", token.id, lossy(token)))?;
    }
    output::note(&format!("{} tokens", tokens.len()));
    Ok(())
}

/// The ids of many texts, a line each.
fn encode_lines(tokenizer: &mut Opened, lines: &str, options: EncodeOptions) -> Result<()> {
    for (number, line) in (1..).zip(lines.lines()) {
        let text: String =
            serde_json::from_str(line).with_context(|| format!("line {number} of standard input is no JSON string"))?;
        let ids: Vec<u32> = tokenizer.encode(&text, options)?.iter().map(|token| token.id).collect();
        output::line(&json!(ids).to_string())?;
    }
    Ok(())
}

/// A token's text; a part of a character becomes U+FFFD.
fn lossy(token: &Token) -> String {
    String::from_utf8_lossy(&token.bytes).into_owned()
}

fn decode(tokenizer: &mut Opened, text: &str, json: bool) -> Result<()> {
    let words =
        text.split(|character: char| character == ',' || character.is_whitespace()).filter(|word| !word.is_empty());
    let parse = |word: &str| word.parse::<u32>().with_context(|| format!("`{word}` is no token id"));
    let tokens = words.map(parse).collect::<Result<Vec<u32>>>()?;
    let text = tokenizer.decode(&tokens)?;
    if !json {
        return output::line(&text);
    }
    output::json(&json!({ "count": tokens.len(), "text": text, "guest": tokenizer.guest() }))
}
