//! Bytes in, whole UTF-8 out.
//!
//! A token is a piece of bytes, not of text: an emoji may be split over three tokens. [`Utf8Stream`] keeps an unfinished character
//! back until its last byte arrives. Bytes that can never become a character turn into U+FFFD, one for each maximal ill-formed
//! piece, so that the pieces joined equal `String::from_utf8_lossy` of all bytes at once.

/// A decoder that delivers only whole characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Utf8Stream {
    /// The start of a character whose end has not arrived: at most three bytes between calls.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes the next bytes and returns every character that is now whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut read = 0;
        loop {
            let rest = &self.pending[read..];
            let (valid, invalid) = split_valid(rest);
            text.push_str(valid);
            read += valid.len();
            match invalid {
                Some(length) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    read += length;
                }
                None => break,
            }
        }
        self.pending.drain(..read);
        text
    }

    /// Ends the stream: a character that never became whole is U+FFFD.
    pub(super) fn finish(&mut self) -> String {
        let unfinished = !self.pending.is_empty();
        self.pending.clear();
        if unfinished { char::REPLACEMENT_CHARACTER.to_string() } else { String::new() }
    }
}

/// The valid text at the start of `bytes`, and the length of the ill-formed piece after it; none when all that follows may still
/// become a character.
fn split_valid(bytes: &[u8]) -> (&str, Option<usize>) {
    match str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            (valid, error.error_len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_emoji_split_over_three_pieces_arrives_whole() {
        let bytes = "👋".as_bytes();
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&bytes[..1]), "");
        assert_eq!(stream.push(&bytes[1..3]), "");
        assert_eq!(stream.push(&bytes[3..]), "👋");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn an_unfinished_character_at_the_end_becomes_one_replacement() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[b'a', 0xF0, 0x9F, 0x91]), "a");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn text_after_an_invalid_byte_is_delivered() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[0xFF, b'a', 0xC3, 0x28]), "\u{FFFD}a\u{FFFD}(");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_joins_to_the_lossy_text(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..4),
                    prop::sample::select(vec!["é", "👋", "日", "a"]).prop_map(|text| text.as_bytes()[..1].to_vec()),
                    prop::sample::select(vec!["é", "👋", "日", "a"]).prop_map(|text| text.as_bytes()[1..].to_vec()),
                ],
                0..12,
            )
        ) {
            let mut stream = Utf8Stream::default();
            let mut text: String = pieces.iter().map(|piece| stream.push(piece)).collect();
            text.push_str(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&pieces.concat()).into_owned());
        }

        #[test]
        fn at_most_three_bytes_are_kept_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut stream = Utf8Stream::default();
            for byte in bytes {
                stream.push(&[byte]);
                prop_assert!(stream.pending.len() <= 3);
            }
        }
    }
}
