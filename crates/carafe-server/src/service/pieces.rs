//! From the events of one sequence to pieces of a choice, and from pieces to a whole one.

use std::mem::take;

use carafe_host::text::{EventKind, FinishReason, Finished, GeneratedToken, PromptToken, TokenLogprobs};

/// Turns a sequence's events into pieces of its choice.
///
/// A token's log-probabilities say where in the text it begins. Text that may yet be cut off by a
/// stop text is held back by the guest, and the tokens that begin in it wait here, so that none is
/// ever beyond the end of the text. Where reasoning comes apart from the text, places in the text
/// mean nothing, and no token waits.
#[derive(Debug)]
pub(super) struct Pieces {
    timing: TokenTiming,
    waiting: Vec<Token>,
    /// Characters of the pieces so far.
    characters: usize,
}

/// When the tokens of a choice come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenTiming {
    /// Not at all: no log-probabilities are wanted.
    Never,
    /// With the text in which they begin.
    WithText,
    /// As they are generated.
    AtOnce,
}

/// What a choice has more, or all of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// What the model has thought, where that comes apart; it is before the text.
    pub(crate) reasoning: String,
    /// The tokens that begin in it; none where no log-probabilities are wanted.
    pub(crate) tokens: Vec<Token>,
    /// Why the choice ends with it.
    pub(crate) finish: Option<FinishReason>,
}

/// A token with its log-probabilities.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) bytes: Vec<u8>,
    /// Which character of the choice it begins in, counted from 0.
    pub(crate) text_offset: usize,
    /// None for the first token of an echoed prompt.
    pub(crate) logprobs: Option<TokenLogprobs>,
}

impl Pieces {
    /// Before the first event.
    pub(super) fn new(timing: TokenTiming) -> Self {
        Self { timing, waiting: Vec::new(), characters: 0 }
    }

    /// What an event adds; nothing if a client need not be told.
    pub(super) fn take(&mut self, event: EventKind) -> Option<Piece> {
        let piece = match event {
            EventKind::Prompt(prompt) => {
                self.wait(prompt.tokens.into_iter().map(Token::from));
                self.piece(prompt.text, String::new())
            }
            EventKind::Token(mut token) => {
                let (text, reasoning) = (take(&mut token.text), take(&mut token.reasoning));
                self.wait([token.into()]);
                self.piece(text, reasoning)
            }
            EventKind::Finished(finished) => self.last_piece(finished),
            EventKind::Started(_) | EventKind::Failed(_) => return None,
        };
        (!piece.is_silent() || piece.finish.is_some()).then_some(piece)
    }

    /// Adds tokens to those that wait, if they are wanted.
    fn wait(&mut self, tokens: impl IntoIterator<Item = Token>) {
        if self.timing != TokenTiming::Never {
            self.waiting.extend(tokens);
        }
    }

    /// More of the choice, with the tokens that begin in what there is of it now, or right behind
    /// it.
    fn piece(&mut self, text: String, reasoning: String) -> Piece {
        self.characters += text.chars().count();
        let count = match self.timing {
            TokenTiming::AtOnce => self.waiting.len(),
            _ => self.waiting.partition_point(|token| token.text_offset <= self.characters),
        };
        Piece { text, reasoning, tokens: self.waiting.drain(..count).collect(), finish: None }
    }

    /// The last of the text, with all tokens that are left: what those were to go on with was cut
    /// off.
    fn last_piece(&mut self, Finished { text, reasoning, reason, .. }: Finished) -> Piece {
        let characters = self.characters + text.chars().count();
        for token in &mut self.waiting {
            token.text_offset = token.text_offset.min(characters);
        }
        Piece { finish: Some(reason), ..self.piece(text, reasoning) }
    }
}

impl Piece {
    /// Whether it brings nothing but perhaps an end.
    pub(crate) fn is_silent(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.tokens.is_empty()
    }
}

impl From<PromptToken> for Token {
    fn from(PromptToken { id, bytes, text_offset, logprobs }: PromptToken) -> Self {
        Self { id, bytes, text_offset: text_offset as usize, logprobs }
    }
}

impl From<GeneratedToken> for Token {
    fn from(GeneratedToken { id, bytes, text_offset, logprobs, .. }: GeneratedToken) -> Self {
        Self { id, bytes, text_offset: text_offset as usize, logprobs }
    }
}

/// A choice that is gathered piece by piece.
#[derive(Debug)]
pub(super) struct Draft {
    pieces: Pieces,
    whole: Piece,
    /// Sum of the log-probabilities of the generated tokens, and their number.
    score: (f64, u32),
}

impl Draft {
    /// A choice that these pieces make.
    pub(super) fn new(pieces: Pieces) -> Self {
        Self { pieces, whole: Piece::default(), score: (0.0, 0) }
    }

    pub(super) fn take(&mut self, event: EventKind) {
        if let EventKind::Token(token) = &event
            && let Some(logprobs) = &token.logprobs
        {
            self.score.0 += f64::from(logprobs.chosen);
            self.score.1 += 1;
        }
        let Some(piece) = self.pieces.take(event) else { return };
        self.whole.text.push_str(&piece.text);
        self.whole.reasoning.push_str(&piece.reasoning);
        self.whole.tokens.extend(piece.tokens);
        self.whole.finish = piece.finish.or(self.whole.finish);
    }

    /// The mean log-probability of its tokens, by which the sequences of `best_of` are ranked.
    pub(super) fn mean_logprob(&self) -> f64 {
        self.score.0 / f64::from(self.score.1.max(1))
    }

    pub(super) fn into_choice(self) -> Piece {
        self.whole
    }
}

/// Why a sequence ended, as the log and OpenAI's API spell it.
pub(crate) fn finish_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Eos | FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token's event: its text as far as it is delivered, and where it begins.
    fn token(text: &str, text_offset: u32) -> EventKind {
        let logprobs = Some(TokenLogprobs { chosen: -1.0, top: Vec::new() });
        let (bytes, text, reasoning) = (b"x".to_vec(), text.to_owned(), String::new());
        EventKind::Token(GeneratedToken { id: 1, bytes, text, reasoning, text_offset, logprobs })
    }

    fn end(reason: FinishReason, text: &str) -> EventKind {
        let (text, reasoning) = (text.to_owned(), String::new());
        EventKind::Finished(Finished { reason, text, reasoning, prompt_tokens: 1, generated_tokens: 1 })
    }

    /// Text and offsets of the pieces that these events make, and those of the whole choice.
    fn answers(events: &[EventKind]) -> (Vec<(String, Vec<usize>)>, (String, Vec<usize>)) {
        let summary =
            |piece: Piece| (piece.text, piece.tokens.iter().map(|token| token.text_offset).collect::<Vec<usize>>());
        let (mut pieces, mut draft) =
            (Pieces::new(TokenTiming::WithText), Draft::new(Pieces::new(TokenTiming::WithText)));
        let parts = events.iter().filter_map(|event| pieces.take(event.clone())).map(summary).collect();
        events.iter().for_each(|event| draft.take(event.clone()));
        (parts, summary(draft.into_choice()))
    }

    fn text(text: &str, offsets: &[usize]) -> (String, Vec<usize>) {
        (text.to_owned(), offsets.to_vec())
    }

    #[test]
    fn a_token_that_begins_in_text_that_is_held_back_waits_for_it() {
        // The stop text is `END`; the tokens are `the E`, `N` and `D` or `gg`.
        let begun = [token("the ", 0), token("", 5)];
        let stopped = [&begun[..], &[token("", 6), end(FinishReason::Stop, "")]].concat();
        let (parts, whole) = answers(&stopped);
        assert_eq!(parts, [text("the ", &[0]), text("", &[4, 4])]);
        assert_eq!(whole, text("the ", &[0, 4, 4]));

        let went_on = [&begun[..], &[token("ENgg", 6), end(FinishReason::Length, "")]].concat();
        let (parts, whole) = answers(&went_on);
        assert_eq!(parts, [text("the ", &[0]), text("ENgg", &[5, 6]), text("", &[])]);
        assert_eq!(whole, text("the ENgg", &[0, 5, 6]));
    }

    #[test]
    fn a_token_without_text_begins_at_the_end_of_the_text() {
        let (parts, whole) = answers(&[token("", 0), end(FinishReason::Eos, "")]);
        assert_eq!(parts, [text("", &[0]), text("", &[])]);
        assert_eq!(whole, text("", &[0]));
    }

    #[test]
    fn where_reasoning_comes_apart_tokens_come_as_they_are_generated() {
        let mut pieces = Pieces::new(TokenTiming::AtOnce);
        let mut thought = token("", 9);
        if let EventKind::Token(token) = &mut thought {
            token.reasoning = "hm".to_owned();
        }
        let events = [thought, token("", 12), token("yes", 20)];
        let parts: Vec<Piece> = events.into_iter().filter_map(|event| pieces.take(event)).collect();
        let shown: Vec<(&str, &str, usize)> =
            parts.iter().map(|piece| (&*piece.reasoning, &*piece.text, piece.tokens.len())).collect();
        assert_eq!(shown, [("hm", "", 1), ("", "", 1), ("", "yes", 1)]);
    }
}
