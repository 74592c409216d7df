//! What the built-in guests can reach, and what they need.

use std::fs;

use anyhow::{Error, Result};
use carafe_e2e::{collect, greedy, load, root, start};
use carafe_host::text::{TextModel, TextOptions};
use carafe_host::tokenizer::{EncodeOptions, Tokenizer, compact_form};
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;

/// A text as a user types it.
const PLAIN: EncodeOptions = EncodeOptions { add_special_tokens: true, parse_special: false };

#[test]
fn guests_import_wasi_nn_and_nothing_else() -> Result<()> {
    let engine = wasmtime::Engine::default();
    for guest in ["text", "image", "hostile"] {
        let file = root().join(format!("guests/built/{guest}.wasm"));
        let component = wasmtime::component::Component::from_file(&engine, &file)
            .map_err(|error| Error::msg(format!("{error:?}")))?;
        let imports: Vec<String> =
            component.component_type().imports(&engine).map(|(name, _)| name.to_owned()).collect();
        assert!(!imports.is_empty(), "`{guest}` imports nothing");
        assert!(imports.iter().all(|name| name.starts_with("wasi:nn/")), "`{guest}` imports {imports:?}");
    }
    Ok(())
}

#[test]
fn gpt2s_own_tokenizer_needs_less_than_64_mib_of_guest_memory() -> Result<()> {
    let file = fs::read(root().join("fixtures/gpt2-tokenizer/tokenizer.json"))?;
    let limits = Limits { guest_memory: 64 << 20, ..Limits::default() };
    let mut tokenizer = Tokenizer::open(&Sandbox::new()?, "gpt2", compact_form("gpt2", &file)?, limits)?;
    assert_eq!(tokenizer.encode("hello world", PLAIN)?.iter().map(|token| token.id).collect::<Vec<_>>(), [31373, 995]);
    Ok(())
}

#[test]
fn a_tokenizer_that_trapped_goes_on_in_a_new_instance() -> Result<()> {
    let file = fs::read(root().join("fixtures/models/tiny/tokenizer.json"))?;
    let limits = Limits { guest_memory: 8 << 20, ..Limits::default() };
    let mut tokenizer = Tokenizer::open(&Sandbox::new()?, "tiny", compact_form("tiny", &file)?, limits)?;
    let tokens = tokenizer.encode("The fox", PLAIN)?;
    let trap = tokenizer.encode(&"q9".repeat(4 << 20), PLAIN).err();
    assert!(matches!(trap, Some(carafe_host::Error::Trap(_))), "{trap:?}");
    assert_eq!(tokenizer.encode("The fox", PLAIN)?.len(), tokens.len());
    Ok(())
}

#[test]
fn the_high_water_mark_is_within_the_cap_and_reported() -> Result<()> {
    let model = load("models/tales", Profile::Fast)?;
    let limits = Limits { guest_memory: 32 << 20, ..Limits::default() };
    let text = TextModel::start(&Sandbox::new()?, &model, TextOptions::default(), limits)?;
    let (texts, failure) = collect(text.submit_blocking(greedy("Once upon a time", 8))?);
    assert_eq!((texts.len(), failure), (8, None));
    let memory = text.stats().guest_memory();
    assert!((1 << 20..=32 << 20).contains(&memory), "{memory}");
    Ok(())
}

#[test]
fn requests_that_wait_together_are_all_served() -> Result<()> {
    let model = start("fixtures/models/tiny", Profile::Exact)?;
    let prompts = ["The fox", "A crow", "The lion", "An ant"];
    let alone: Vec<_> =
        prompts.iter().map(|prompt| Ok(collect(model.submit_blocking(greedy(prompt, 6))?))).collect::<Result<_>>()?;
    let generations: Vec<_> =
        prompts.iter().map(|prompt| Ok(model.submit_blocking(greedy(prompt, 6))?)).collect::<Result<_>>()?;
    let together: Vec<_> = generations.into_iter().map(collect).collect();
    assert_eq!(alone, together);
    Ok(())
}
