//! The reader of GGUF files, against whatever bytes libFuzzer thinks of.
#![no_main]

#[path = "../src/gguf.rs"]
mod gguf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| gguf::run(data));
