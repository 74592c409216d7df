//! The tokens that a model makes of text: their texts by id, and their ids by text.
//!
//! Texts lie one after the other. Ids are found by open addressing: the hash of a text says where
//! in a table to begin, and the search goes on slot by slot to the text or to an empty slot. At
//! least half of the slots are empty. The hash is fixed, since the table is made in another process
//! than the one that searches; a client who makes texts collide makes his own search longer and
//! changes no table.

use super::{
    TokenizerError,
    compact::{Reader, Writer, check_ends},
};

/// Ids must be below this; larger ones are mistakes, and would take memory for every id before.
const ID_LIMIT: u32 = 1 << 24;

/// Texts by id and ids by text.
pub(super) struct Vocabulary {
    /// The texts in the order of their ids.
    texts: String,
    /// Where each id's text ends in `texts`.
    ends: Vec<u32>,
    /// Whether an id has a token: 1 or 0. A text alone does not say so, as it may be empty.
    exists: Vec<u8>,
    /// Ids, each one more than it is; 0 is an empty slot. A power of two.
    slots: Vec<u32>,
}

impl Vocabulary {
    /// The vocabulary of some tokens. Of two with the same text the latter is found.
    pub(super) fn new(tokens: &[(String, u32)]) -> Result<Self, TokenizerError> {
        let mut by_id: Vec<Option<&str>> = Vec::new();
        for (token, id) in tokens {
            let (token, id) = (token.as_str(), *id);
            check_id(token, id)?;
            let index = id as usize;
            by_id.resize(by_id.len().max(index + 1), None);
            if let Some(first) = by_id[index].replace(token).filter(|first| *first != token) {
                return Err(TokenizerError::IdTwice { id, first: first.to_owned(), second: token.to_owned() });
            }
        }
        let slots = vec![0; (2 * tokens.len()).next_power_of_two().max(2)];
        let mut vocabulary = Self { texts: String::new(), ends: Vec::new(), exists: Vec::new(), slots };
        for token in by_id {
            vocabulary.texts.push_str(token.unwrap_or_default());
            vocabulary.ends.push(vocabulary.texts.len() as u32);
            vocabulary.exists.push(u8::from(token.is_some()));
        }
        for (token, id) in tokens {
            let slot = vocabulary.slot(token.as_bytes());
            vocabulary.slots[slot] = id + 1;
        }
        Ok(vocabulary)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(self.texts.as_bytes());
        writer.table(&self.ends);
        writer.table(&self.exists);
        writer.table(&self.slots);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, TokenizerError> {
        let texts = String::from_utf8(reader.table()?).map_err(|_| TokenizerError::Compact("a text is no UTF-8"))?;
        let (ends, exists, slots) = (reader.table()?, reader.table()?, reader.table()?);
        let vocabulary = Self { texts, ends, exists, slots };
        vocabulary.check()?;
        Ok(vocabulary)
    }

    fn check(&self) -> Result<(), TokenizerError> {
        let Self { texts, ends, exists, slots } = self;
        check_ends(ends, texts.len())?;
        let holds = exists.len() == ends.len()
            && ends.iter().all(|&end| texts.is_char_boundary(end as usize))
            && slots.len().is_power_of_two()
            && slots.contains(&0)
            && slots.iter().all(|&slot| slot as usize <= ends.len());
        if holds { Ok(()) } else { Err(TokenizerError::Compact("its vocabulary does not fit together")) }
    }

    /// What ids are below.
    pub(super) fn size(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The text of a token as the file writes it; none of an id without a token.
    pub(super) fn text(&self, id: u32) -> Option<&str> {
        let index = usize::try_from(id).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        (self.exists[index] != 0).then(|| &self.texts[start..end])
    }

    /// The id of the token with this text.
    pub(super) fn id(&self, text: &[u8]) -> Option<u32> {
        self.slots[self.slot(text)].checked_sub(1)
    }

    /// The slot of a text, or the empty one where its search ends.
    fn slot(&self, text: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(text) as usize & mask;
        while let Some(id) = self.slots[slot].checked_sub(1) {
            if self.text(id).is_some_and(|other| other.as_bytes() == text) {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Refuses an id that no model has.
pub(super) fn check_id(token: &str, id: u32) -> Result<(), TokenizerError> {
    if id < ID_LIMIT {
        Ok(())
    } else {
        Err(TokenizerError::IdTooLarge { token: token.to_owned(), id, limit: ID_LIMIT })
    }
}

/// FNV-1a of 64 bits, folded to 32.
fn hash(bytes: &[u8]) -> u32 {
    const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    let hash = bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    (hash ^ (hash >> 32)) as u32
}
