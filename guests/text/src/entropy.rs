//! What the sandbox gives for entropy: fixed bytes.
//!
//! `ahash`, deep inside the tokenizer, asks `getrandom` for the keys of its hash tables once and
//! panics if it gets none. A guest has no randomness to give and must not depend on any: nothing
//! here iterates over a hash table, so its keys change no result.

/// The function that `getrandom` calls under `--cfg getrandom_backend="custom"`.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "getrandom names this function and its signature")]
// SAFETY: no other crate in this guest defines a symbol of this name; getrandom 0.3 documents it
// and its signature.
#[unsafe(no_mangle)]
extern "Rust" fn __getrandom_v03_custom(destination: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom hands over a buffer of `length` bytes that it owns and that nobody else
    // looks at during the call.
    unsafe { destination.write_bytes(0x5a, length) };
    Ok(())
}
