//! The rules for a decoder's inputs, against whatever bytes libFuzzer thinks of.
#![no_main]

#[path = "../src/decoder_inputs.rs"]
mod decoder_inputs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoder_inputs::run(data));
