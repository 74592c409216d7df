//! Unigram: the tokens of a text are those whose scores have the largest sum (Kudo, 2018).
//!
//! A score is the logarithm of a probability. The best way to each place of the text follows from
//! the best ways to the places before it (Viterbi), so a text is gone through once, and back.

use serde::{Deserialize, Serialize};

use super::{
    TokenizerError, bpe,
    compact::{Reader, Writer},
    prefix_tree::PrefixTree,
    vocabulary::Vocabulary,
};

/// How much worse than the worst token an unknown character is; the number is SentencePiece's.
const UNKNOWN_PENALTY: f64 = 10.0;

/// What `tokenizer.json` says of a Unigram model beside its tables, in its own words.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct UnigramOptions {
    pub(super) unk_id: Option<u32>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
}

/// A Unigram model without its vocabulary.
pub(super) struct Unigram {
    options: UnigramOptions,
    /// The score of every token.
    scores: Vec<f64>,
    tokens: PrefixTree,
    unknown_score: f64,
    /// The tokens `<0x00>` to `<0xFF>`, where bytes stand in for what has no token.
    bytes: Option<Vec<u32>>,
}

/// The best way to a place.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    /// Where its last token begins.
    start: usize,
    token: u32,
}

impl Unigram {
    /// A model of a vocabulary whose tokens have these scores.
    pub(super) fn new(
        options: UnigramOptions,
        scores: Vec<f64>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TokenizerError> {
        let ids = (0..vocabulary.size()).filter_map(|id| vocabulary.text(id));
        // Of tokens with the same text the one counts that the vocabulary finds.
        let tokens = PrefixTree::new(ids.filter_map(|text| Some((text.as_bytes(), vocabulary.id(text.as_bytes())?))));
        Self::with_tree(options, scores, tokens, vocabulary)
    }

    fn with_tree(
        options: UnigramOptions,
        scores: Vec<f64>,
        tokens: PrefixTree,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TokenizerError> {
        if options.unk_id.is_some_and(|id| id >= vocabulary.size()) {
            return Err(TokenizerError::unsupported("model.unk_id", "the id of a token of its vocabulary"));
        }
        let unknown_score = scores.iter().copied().fold(f64::INFINITY, f64::min) - UNKNOWN_PENALTY;
        let bytes = bpe::byte_tokens(vocabulary).filter(|_| options.byte_fallback);
        Ok(Self { options, scores, tokens, unknown_score, bytes })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(&self.scores);
        self.tokens.write(writer);
    }

    pub(super) fn read(
        options: UnigramOptions,
        reader: &mut Reader<'_>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TokenizerError> {
        let scores: Vec<f64> = reader.table()?;
        if scores.len() != vocabulary.size() as usize {
            return Err(TokenizerError::Compact("its scores do not fit its vocabulary"));
        }
        let tokens = PrefixTree::read(reader, vocabulary.size())?;
        Self::with_tree(options, scores, tokens, vocabulary)
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.options.unk_id
    }

    /// Appends the tokens of a text.
    pub(super) fn tokenize(
        &self,
        text: &str,
        vocabulary: &Vocabulary,
        forbidden: &[u32],
        tokens: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        let mut rest = self.best_path(text, forbidden)?.into_iter().peekable();
        while let Some((start, mut end, token)) = rest.next() {
            // Unknown characters side by side are one.
            while Some(token) == self.options.unk_id
                && let Some((_, next, _)) = rest.next_if(|&(_, _, other)| other == token)
            {
                end = next;
            }
            self.push(&text[start..end], token, vocabulary, forbidden, tokens);
        }
        Ok(())
    }

    /// Start, end and token of each part of the best way through a text. The token of a character
    /// that has none is the unknown one.
    fn best_path(&self, text: &str, forbidden: &[u32]) -> Result<Vec<(usize, usize, u32)>, TokenizerError> {
        let mut best: Vec<Option<Step>> = vec![None; text.len() + 1];
        for (start, character) in text.char_indices() {
            let score = best[start].map_or(0.0, |step| step.score);
            let length = character.len_utf8();
            let mut has_token = false;
            let prefixes = self.tokens.prefixes(&text.as_bytes()[start..]);
            for (prefix, token) in prefixes.filter(|(_, token)| forbidden.binary_search(token).is_err()) {
                has_token |= prefix == length;
                let score = score + self.scores[token as usize];
                improve(&mut best[start + prefix], Step { score, start, token });
            }
            if !has_token {
                let unknown = self.options.unk_id;
                let token = unknown.ok_or_else(|| TokenizerError::NoToken { text: character.to_string() })?;
                let score = score + self.unknown_score;
                improve(&mut best[start + length], Step { score, start, token });
            }
        }
        let mut path = Vec::new();
        let mut end = text.len();
        while let Some(Step { start, token, .. }) = best[end].filter(|_| end > 0) {
            path.push((start, end, token));
            end = start;
        }
        path.reverse();
        Ok(path)
    }

    /// Appends the token of a part of a text: the one with its text, else those of its bytes, else
    /// the one that was found.
    fn push(&self, part: &str, token: u32, vocabulary: &Vocabulary, forbidden: &[u32], tokens: &mut Vec<u32>) {
        let id = vocabulary.id(part.as_bytes()).filter(|id| forbidden.binary_search(id).is_err());
        match (id, &self.bytes) {
            (Some(id), _) => tokens.push(id),
            (None, Some(bytes)) => tokens.extend(part.bytes().map(|byte| bytes[usize::from(byte)])),
            (None, None) => tokens.push(token),
        }
    }
}

/// Takes another way to a place if it is better.
fn improve(best: &mut Option<Step>, step: Step) {
    if best.is_none_or(|known| step.score > known.score) {
        *best = Some(step);
    }
}
