//! How byte-level BPE writes bytes as characters.
//!
//! Each of the 256 bytes has one printable character: itself where it is printable in Latin-1,
//! otherwise the next free one from U+0100. A space is `Ġ` and a line feed `Ċ`; the token `Ġthe`
//! stands for the bytes of ` the`. This is the inverse of `bytes_to_unicode` in OpenAI's GPT-2
//! `encoder.py`.

/// The characters of the bytes that do not stand for themselves run from here, in the order of the
/// bytes.
const FIRST_SUBSTITUTE: u32 = 0x100;

/// Whether byte-level BPE writes this byte as the Latin-1 character of the same number.
fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The letter that byte-level BPE writes for `byte`.
pub(super) fn letter(byte: u8) -> char {
    if stands_for_itself(byte) {
        return char::from(byte);
    }
    let substitutes_before = (0..byte).filter(|&other| !stands_for_itself(other)).count() as u32;
    char::from_u32(FIRST_SUBSTITUTE + substitutes_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte of every character below U+0144, by the character's number; none where byte-level BPE
/// does not use the character.
#[derive(Debug)]
pub(super) struct ByteTable(Vec<Option<u8>>);

impl ByteTable {
    pub(super) fn new() -> Self {
        let mut table = Vec::new();
        for byte in 0..=u8::MAX {
            let number = u32::from(letter(byte)) as usize;
            table.resize(table.len().max(number + 1), None);
            table[number] = Some(byte);
        }
        Self(table)
    }

    /// The bytes that a token's characters stand for; its own where one stands for none.
    pub(super) fn bytes(&self, token: &str) -> Vec<u8> {
        let bytes = token.chars().map(|character| self.0.get(character as usize).copied().flatten());
        bytes.collect::<Option<_>>().unwrap_or_else(|| token.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_characters_are_right() {
        assert_eq!(letter(b' '), 'Ġ');
        assert_eq!(letter(b'\n'), 'Ċ');
        assert_eq!(letter(b'a'), 'a');
        assert_eq!(letter(0), 'Ā');
        assert_eq!(letter(0xAD), 'Ń');
    }

    #[test]
    fn every_byte_comes_back_from_its_character() {
        let table = ByteTable::new();
        for byte in 0..=u8::MAX {
            assert_eq!(table.bytes(&letter(byte).to_string()), [byte]);
        }
        assert_eq!(table.0.iter().flatten().count(), 256);
        assert_eq!(table.0.len(), 0x144);
    }
}
