//! Chat templates against whatever texts libFuzzer thinks of.
#![no_main]

#[path = "../src/chat.rs"]
mod chat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chat::run(data));
