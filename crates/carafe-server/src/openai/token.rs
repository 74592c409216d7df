//! How answers spell a token.

/// A token's text, or its bytes as OpenAI spells them where they are no text.
pub(crate) fn token_text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| format!("{text}\\x{byte:02x}")),
    }
}
