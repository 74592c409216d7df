//! The reader of tokenizers' compact forms, and tokenizers, against whatever bytes libFuzzer thinks
//! of.
#![no_main]

#[path = "../src/tokenizer.rs"]
mod tokenizer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tokenizer::run(data));
