//! Bytes in, whole UTF-8 out.
//!
//! A token is a piece of bytes, not of text: an emoji may be split over three tokens.
//! [`Utf8Stream`] keeps an unfinished character back until its last byte arrives. Bytes that can
//! never become a character turn into U+FFFD, one for each maximal ill-formed piece, so that the
//! pieces joined equal `String::from_utf8_lossy` of all bytes at once.

use std::mem;

/// A decoder that delivers only whole characters, and counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Utf8Stream {
    /// The start of a character whose end has not arrived: at most three bytes between calls.
    pending: Vec<u8>,
    /// Characters delivered so far.
    characters: usize,
    /// Whether some bytes were no character.
    has_replaced: bool,
    /// Whether what is unfinished was replaced in a text before this one.
    was_replaced: bool,
}

/// What became of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Every character that is now whole.
    pub(super) text: String,
    /// How many characters of the stream come before the one that holds the first of the bytes.
    pub(super) offset: usize,
}

impl Utf8Stream {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Decoded {
        let (first, rest) = bytes.split_at(bytes.len().min(1));
        let mut text = self.decode(first);
        // A byte that completes a character, or is none itself, lies in the latest one; any other
        // lies in the one to come.
        let is_decided = !first.is_empty() && self.pending.is_empty();
        let offset = self.characters - usize::from(is_decided);
        text.push_str(&self.decode(rest));
        Decoded { text, offset }
    }

    /// Takes the next bytes and returns every character that is now whole.
    fn decode(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut read = 0;
        loop {
            let rest = &self.pending[read..];
            let (valid, invalid) = split_valid(rest);
            text.push_str(valid);
            read += valid.len();
            let Some(length) = invalid else { break };
            self.has_replaced = true;
            if read > 0 || !mem::take(&mut self.was_replaced) {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            read += length;
        }
        self.pending.drain(..read);
        self.was_replaced &= read == 0;
        self.characters += text.chars().count();
        text
    }

    /// Begins another text where this one has got to. What is unfinished was replaced in the text
    /// so far, and is not replaced again.
    pub(super) fn restart(&mut self) {
        self.characters = 0;
        self.was_replaced = self.is_unfinished();
    }

    /// Characters delivered so far.
    pub(super) fn characters(&self) -> usize {
        self.characters
    }

    /// Whether some bytes were no character.
    pub(super) fn has_replaced(&self) -> bool {
        self.has_replaced
    }

    /// Whether the start of a character has come without its end.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Ends the stream: a character that never became whole is U+FFFD.
    pub(super) fn finish(&mut self) -> String {
        if self.pending.is_empty() {
            return String::new();
        }
        self.pending.clear();
        if mem::take(&mut self.was_replaced) {
            return String::new();
        }
        self.characters += 1;
        char::REPLACEMENT_CHARACTER.to_string()
    }
}

/// The valid text at the start of `bytes`, and the length of the ill-formed piece after it; none
/// when all that follows may still become a character.
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

    /// The text and the offset of each of some pieces, and the text of the end.
    fn run(pieces: &[&[u8]]) -> (Vec<(String, usize)>, String) {
        let mut stream = Utf8Stream::default();
        let decoded = pieces.iter().map(|piece| stream.push(piece));
        let decoded = decoded.map(|Decoded { text, offset }| (text, offset)).collect();
        (decoded, stream.finish())
    }

    /// For each byte, how many characters of the lossy text come before the one that holds it.
    fn characters_before(bytes: &[u8]) -> Vec<usize> {
        let (mut before, mut places) = (0, Vec::new());
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                places.extend(std::iter::repeat_n(before, character.len_utf8()));
                before += 1;
            }
            places.extend(std::iter::repeat_n(before, chunk.invalid().len()));
            before += usize::from(!chunk.invalid().is_empty());
        }
        places
    }

    #[test]
    fn an_emoji_split_over_three_pieces_arrives_whole_and_all_of_them_begin_in_it() {
        let bytes = "👋".as_bytes();
        let (decoded, end) = run(&[b"a", &bytes[..1], &bytes[1..3], &bytes[3..], b"b"]);
        let expected = [("a", 0), ("", 1), ("", 1), ("👋", 1), ("b", 2)];
        assert_eq!(decoded, expected.map(|(text, offset)| (text.to_owned(), offset)));
        assert_eq!(end, "");
    }

    #[test]
    fn a_piece_after_an_unfinished_character_begins_behind_its_replacement() {
        let (decoded, end) = run(&[&[0xF0, 0x9F], b"a", &[0x80], &[0x80], &[0xF0], b"", &[0xC3, 0x28]]);
        let expected =
            [("", 0), ("\u{FFFD}a", 1), ("\u{FFFD}", 2), ("\u{FFFD}", 3), ("", 4), ("", 4), ("\u{FFFD}\u{FFFD}(", 5)];
        assert_eq!(decoded, expected.map(|(text, offset)| (text.to_owned(), offset)));
        assert_eq!(end, "");
    }

    #[test]
    fn an_unfinished_character_at_the_end_becomes_one_replacement() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[b'a', 0xF0, 0x9F, 0x91]).text, "a");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn text_after_an_invalid_byte_is_delivered() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[0xFF, b'a', 0xC3, 0x28]).text, "\u{FFFD}a\u{FFFD}(");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_joins_to_the_lossy_text_and_knows_where_its_pieces_begin(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..4),
                    prop::sample::select(vec!["é", "👋", "日", "a"]).prop_map(|text| text.as_bytes()[..1].to_vec()),
                    prop::sample::select(vec!["é", "👋", "日", "a"]).prop_map(|text| text.as_bytes()[1..].to_vec()),
                ],
                0..12,
            )
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (decoded, end) = run(&pieces);
            let text: String = decoded.iter().map(|(text, _)| text.as_str()).chain([end.as_str()]).collect();
            prop_assert_eq!(text, String::from_utf8_lossy(&pieces.concat()).into_owned());
            let (places, mut start) = (characters_before(&pieces.concat()), 0);
            for (piece, (_, offset)) in pieces.iter().zip(decoded).filter(|(piece, _)| !piece.is_empty()) {
                prop_assert_eq!(offset, places[start]);
                start += piece.len();
            }
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
