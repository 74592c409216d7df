//! Byte-pair encoding: a word begins as its characters, and the pair whose merge has the lowest
//! rank is joined, again and again (Sennrich et al., 2016).
//!
//! Pairs wait in a queue, and the symbols of the word are a linked list, so that a word of n
//! characters takes O(n log n), however long it is. A merge that another one has overtaken is
//! recognised when it comes up, and left out.

use std::{borrow::Cow, cmp::Reverse, collections::BinaryHeap};

use serde::{Deserialize, Serialize};

use super::{
    TokenizerError,
    compact::{Reader, Writer, check_ends},
    vocabulary::Vocabulary,
};

/// What `tokenizer.json` says of a BPE model beside its tables, in its own words.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct BpeOptions {
    pub(super) unk_token: Option<String>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) fuse_unk: bool,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
}

/// A BPE model without its vocabulary.
pub(super) struct Bpe {
    options: BpeOptions,
    merges: Merges,
    /// The tokens `<0x00>` to `<0xFF>`, where bytes stand in for what has no token.
    bytes: Option<Vec<u32>>,
    unknown: Option<u32>,
}

/// Two tokens become one.
#[derive(Debug, Clone, Copy)]
struct Merge {
    rank: u32,
    token: u32,
}

/// Merges by their first token, then by their second.
struct Merges {
    /// Where the merges of each first token end.
    ends: Vec<u32>,
    /// Second token, rank and the token that is made, of each merge.
    merges: Vec<[u32; 3]>,
}

impl Merges {
    /// The merges of `[first, second, made]`, in the order of their ranks. Of two of the same pair
    /// the latter counts.
    fn new(pairs: &[[u32; 3]], vocabulary_size: u32) -> Self {
        let mut sorted: Vec<(u32, u32, Reverse<u32>, u32)> =
            pairs.iter().zip(0..).map(|(&[first, second, made], rank)| (first, second, Reverse(rank), made)).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|&mut (first, second, ..)| (first, second));
        let mut ends = vec![0; vocabulary_size as usize];
        for &(first, ..) in &sorted {
            ends[first as usize] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total;
        }
        let merges = sorted.into_iter().map(|(_, second, Reverse(rank), made)| [second, rank, made]).collect();
        Self { ends, merges }
    }

    fn find(&self, first: u32, second: u32) -> Option<Merge> {
        let first = first as usize;
        let start = if first == 0 { 0 } else { self.ends[first - 1] as usize };
        let merges = &self.merges[start..self.ends[first] as usize];
        let index = merges.binary_search_by_key(&second, |&[second, ..]| second).ok()?;
        let [_, rank, token] = merges[index];
        Some(Merge { rank, token })
    }
}

impl Bpe {
    /// A model of merges `[first, second, made]`, in the order of their ranks.
    pub(super) fn new(options: BpeOptions, pairs: &[[u32; 3]], vocabulary: &Vocabulary) -> Self {
        Self::with_merges(options, Merges::new(pairs, vocabulary.size()), vocabulary)
    }

    fn with_merges(options: BpeOptions, merges: Merges, vocabulary: &Vocabulary) -> Self {
        let bytes = byte_tokens(vocabulary).filter(|_| options.byte_fallback);
        let unknown = options.unk_token.as_ref().and_then(|token| vocabulary.id(token.as_bytes()));
        Self { options, merges, bytes, unknown }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(&self.merges.ends);
        writer.table(&self.merges.merges);
    }

    pub(super) fn read(
        options: BpeOptions,
        reader: &mut Reader<'_>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TokenizerError> {
        let merges = Merges { ends: reader.table()?, merges: reader.table()? };
        check_ends(&merges.ends, merges.merges.len())?;
        let size = vocabulary.size();
        let fits = merges.ends.len() == size as usize && merges.merges.iter().all(|&[_, _, made]| made < size);
        if !fits {
            return Err(TokenizerError::Compact("its merges do not fit its vocabulary"));
        }
        Ok(Self::with_merges(options, merges, vocabulary))
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Whether every token stands for its own text, or for one character.
    pub(super) fn is_lossless(&self) -> bool {
        self.bytes.is_some() || self.options.unk_token.is_none() || !self.options.fuse_unk
    }

    /// Appends the tokens of a word.
    pub(super) fn tokenize(
        &self,
        word: &str,
        vocabulary: &Vocabulary,
        forbidden: &[u32],
        buffers: &mut BpeBuffers,
        tokens: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        if self.options.ignore_merges
            && let Some(id) = vocabulary.id(word.as_bytes())
            && forbidden.binary_search(&id).is_err()
        {
            tokens.push(id);
            return Ok(());
        }
        self.spell(word, vocabulary, &mut buffers.symbols)?;
        self.merge(buffers, forbidden);
        tokens.extend(buffers.symbols.iter().filter(|symbol| symbol.is_alive).map(|symbol| symbol.token));
        Ok(())
    }

    /// Sets `symbols` to the tokens of the word's characters. One without a token becomes those of
    /// its bytes, or the unknown token. As in the library, an unknown token that is yet to be
    /// joined with the next one comes behind the bytes in between.
    fn spell(&self, word: &str, vocabulary: &Vocabulary, symbols: &mut Vec<Symbol>) -> Result<(), TokenizerError> {
        symbols.clear();
        let mut pending_unknown = None;
        for (start, character) in word.char_indices() {
            let end = start + character.len_utf8();
            let text = self.decorated(&word[start..end], start == 0, end == word.len());
            if let Some(id) = vocabulary.id(text.as_bytes()) {
                push(symbols, pending_unknown.take());
                push(symbols, Some(id));
            } else if let Some(bytes) = &self.bytes {
                text.bytes().for_each(|byte| push(symbols, Some(bytes[usize::from(byte)])));
            } else {
                let no_token = || TokenizerError::NoToken { text: text.to_string() };
                let unknown = self.unknown.ok_or_else(no_token)?;
                let previous = pending_unknown.replace(unknown);
                push(symbols, previous.filter(|_| !self.options.fuse_unk));
            }
        }
        push(symbols, pending_unknown);
        Ok(())
    }

    /// A character as the vocabulary writes it at its place in a word.
    fn decorated<'a>(&self, character: &'a str, is_first: bool, is_last: bool) -> Cow<'a, str> {
        let BpeOptions { continuing_subword_prefix, end_of_word_suffix, .. } = &self.options;
        let prefix = continuing_subword_prefix.as_deref().filter(|_| !is_first).unwrap_or_default();
        let suffix = end_of_word_suffix.as_deref().filter(|_| is_last).unwrap_or_default();
        if prefix.is_empty() && suffix.is_empty() {
            return Cow::Borrowed(character);
        }
        Cow::Owned(format!("{prefix}{character}{suffix}"))
    }

    /// Joins symbols until no merge is left.
    fn merge(&self, BpeBuffers { symbols, queue }: &mut BpeBuffers, forbidden: &[u32]) {
        let may_be = |candidate: &Candidate| forbidden.binary_search(&candidate.token).is_err();
        let candidates = (0..symbols.len()).filter_map(|position| self.candidate(symbols, position as u32));
        queue.begin(candidates.filter(may_be));
        while let Some(Candidate { order, token }) = queue.pop() {
            let position = order as u32;
            let symbol = symbols[position as usize];
            let Some(next) = symbol.next().filter(|_| symbol.is_alive) else { continue };
            let right = symbols[next as usize];
            // Another merge may have changed what stands here.
            if self.merges.find(symbol.token, right.token).is_none_or(|merge| merge.token != token) {
                continue;
            }
            let merged = Symbol { token, next: right.next, ..symbol };
            symbols[position as usize] = merged;
            symbols[next as usize].is_alive = false;
            if let Some(after) = merged.next() {
                symbols[after as usize].previous = position;
            }
            let before = merged.previous().and_then(|previous| self.candidate(symbols, previous));
            queue.later.extend(before.filter(may_be).map(Reverse));
            queue.later.extend(self.candidate(symbols, position).filter(may_be).map(Reverse));
        }
    }

    /// The merge of the symbol at a position with the one after it, if there is one.
    fn candidate(&self, symbols: &[Symbol], position: u32) -> Option<Candidate> {
        let symbol = symbols[position as usize];
        let next = symbols[symbol.next()? as usize];
        let Merge { rank, token } = self.merges.find(symbol.token, next.token)?;
        Some(Candidate { order: u64::from(rank) << 32 | u64::from(position), token })
    }
}

/// What a word is merged in; kept from word to word.
#[derive(Default)]
pub(super) struct BpeBuffers {
    symbols: Vec<Symbol>,
    queue: Queue,
}

/// Merges that could be made, the best one first.
#[derive(Default)]
struct Queue {
    /// Those that there were at first, the best one last: sorting them takes a fraction of the time
    /// that a heap takes to give them out.
    first: Vec<Candidate>,
    /// Those that other merges have made possible.
    later: BinaryHeap<Reverse<Candidate>>,
}

impl Queue {
    fn begin(&mut self, candidates: impl Iterator<Item = Candidate>) {
        self.later.clear();
        self.first.clear();
        self.first.extend(candidates);
        self.first.sort_unstable_by_key(|&candidate| Reverse(candidate));
    }

    fn pop(&mut self) -> Option<Candidate> {
        match (self.first.last(), self.later.peek()) {
            (Some(first), Some(Reverse(later))) if later < first => self.later.pop().map(|Reverse(later)| later),
            (None, _) => self.later.pop().map(|Reverse(later)| later),
            _ => self.first.pop(),
        }
    }
}

/// A part of a word.
#[derive(Clone, Copy)]
struct Symbol {
    token: u32,
    /// The positions of its neighbours; [`NOWHERE`] at the ends of the word.
    previous: u32,
    next: u32,
    /// Whether no other symbol has taken it in.
    is_alive: bool,
}

const NOWHERE: u32 = u32::MAX;

impl Symbol {
    fn next(&self) -> Option<u32> {
        Some(self.next).filter(|&next| next != NOWHERE)
    }

    fn previous(&self) -> Option<u32> {
        Some(self.previous).filter(|&previous| previous != NOWHERE)
    }
}

/// A merge that could be made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Its rank, then its position, in one number, which is compared faster: of equal ranks the
    /// leftmost comes first.
    order: u64,
    token: u32,
}

fn push(symbols: &mut Vec<Symbol>, token: Option<u32>) {
    let Some(token) = token else { return };
    let position = symbols.len() as u32;
    if let Some(last) = symbols.last_mut() {
        last.next = position;
    }
    let previous = position.checked_sub(1).unwrap_or(NOWHERE);
    symbols.push(Symbol { token, previous, next: NOWHERE, is_alive: true });
}

/// The tokens `<0x00>` to `<0xFF>`, if all of them are there.
pub(super) fn byte_tokens(vocabulary: &Vocabulary) -> Option<Vec<u32>> {
    (0..=u8::MAX).map(|byte| vocabulary.id(format!("<0x{byte:02X}>").as_bytes())).collect()
}
