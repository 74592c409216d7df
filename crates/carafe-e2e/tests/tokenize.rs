//! `carafe tokenize`, and the tokenizer in the sandbox.

use std::fs;

use anyhow::{Context, Result};
use carafe_e2e::{root, run};
use carafe_host::tokenizer::{EncodeOptions, Tokenizer, compact_form};
use carafe_host::{Limits, Sandbox};
use serde_json::Value;

/// A text as a user types it.
const PLAIN: EncodeOptions = EncodeOptions { add_special_tokens: true, parse_special: false };

#[test]
fn every_vector_of_gpt2s_tokenizer_passes_in_webassembly() -> Result<()> {
    let folder = root().join("fixtures/gpt2-tokenizer");
    let vectors: Value = serde_json::from_slice(&fs::read(folder.join("vectors.json"))?)?;
    let file = fs::read(folder.join("tokenizer.json"))?;
    let mut tokenizer = Tokenizer::open(&Sandbox::new()?, "gpt2", compact_form("gpt2", &file)?, Limits::default())?;
    let vectors = vector_list(&vectors).context("vectors.json has another form")?;
    assert_eq!(vectors.len(), 26);
    for (text, ids) in vectors {
        let tokens: Vec<u32> = tokenizer.encode(&text, PLAIN)?.iter().map(|token| token.id).collect();
        assert_eq!(tokens, ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids)?, text);
    }
    Ok(())
}

/// Texts with their ids.
fn vector_list(vectors: &Value) -> Option<Vec<(String, Vec<u32>)>> {
    let entry = |entry: &Value| {
        let ids = entry["ids"].as_array()?.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        Some((entry["text"].as_str()?.to_owned(), ids))
    };
    vectors.as_array()?.iter().map(entry).collect()
}

#[test]
fn text_becomes_tokens_and_text_again() -> Result<()> {
    let text = "The fox, 🦊 and the grapes";
    let report = run(&["tokenize", "--json", text])?.json()?;
    let ids: Vec<String> =
        report["tokens"].as_array().context("no tokens")?.iter().map(|token| token["id"].to_string()).collect();
    assert_eq!(report["count"], ids.len());
    let back = run(&["tokenize", "--decode", &ids.join(" ")])?;
    assert_eq!(back.out, format!("{text}\n"));
    Ok(())
}

#[test]
fn ids_outside_the_vocabulary_are_refused() -> Result<()> {
    let ran = run(&["tokenize", "--decode", "1 8192"])?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("8192"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_file_that_is_no_tokenizer_is_refused() -> Result<()> {
    let ran = run(&["tokenize", "--tokenizer", "Cargo.toml", "text"])?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("Cargo.toml"), "{}", ran.err);
    Ok(())
}
