//! From the events of one sequence to pieces of a choice, and from pieces to a whole one.

use std::mem::take;

use carafe_host::text::{EventKind, FinishReason, GeneratedToken, PromptToken, TokenLogprobs};

/// Turns a sequence's events into pieces of its choice.
///
/// A token's log-probabilities say where in the text it begins. Text that may yet be cut off by a
/// stop text is held back by the guest, and the tokens that begin in it wait here, so that none is
/// ever beyond the end of the text.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The tokens that wait; none where no log-probabilities are wanted.
    waiting: Option<Vec<Token>>,
    /// Characters of the pieces so far.
    characters: usize,
}

/// What a choice has more, or all of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
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
    /// Before the first event; `logprobs` is whether the tokens are wanted.
    pub(super) fn new(logprobs: bool) -> Self {
        Self { waiting: logprobs.then(Vec::new), characters: 0 }
    }

    /// What an event adds; nothing if a client need not be told.
    pub(super) fn take(&mut self, event: EventKind) -> Option<Piece> {
        let piece = match event {
            EventKind::Prompt(prompt) => {
                self.wait(prompt.tokens.into_iter().map(Token::from));
                self.piece(prompt.text)
            }
            EventKind::Token(mut token) => {
                let text = take(&mut token.text);
                self.wait([token.into()]);
                self.piece(text)
            }
            EventKind::Finished(finished) => self.last_piece(finished.text, finished.reason),
            EventKind::Started(_) | EventKind::Failed(_) => return None,
        };
        let is_empty = piece.text.is_empty() && piece.tokens.is_empty() && piece.finish.is_none();
        (!is_empty).then_some(piece)
    }

    /// Adds tokens to those that wait, if they are wanted.
    fn wait(&mut self, tokens: impl IntoIterator<Item = Token>) {
        if let Some(waiting) = &mut self.waiting {
            waiting.extend(tokens);
        }
    }

    /// More text, with the tokens that begin in what there is of it now, or right behind it.
    fn piece(&mut self, text: String) -> Piece {
        self.characters += text.chars().count();
        let waiting = self.waiting.iter_mut();
        let tokens = waiting.flat_map(|waiting| {
            let count = waiting.partition_point(|token| token.text_offset <= self.characters);
            waiting.drain(..count)
        });
        Piece { text, tokens: tokens.collect(), finish: None }
    }

    /// The last of the text, with all tokens that are left: what those were to go on with was cut
    /// off.
    fn last_piece(&mut self, text: String, reason: FinishReason) -> Piece {
        let characters = self.characters + text.chars().count();
        for token in self.waiting.iter_mut().flatten() {
            token.text_offset = token.text_offset.min(characters);
        }
        Piece { finish: Some(reason), ..self.piece(text) }
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
    use carafe_host::text::Finished;

    /// A token's event: its text as far as it is delivered, and where it begins.
    fn token(text: &str, text_offset: u32) -> EventKind {
        let logprobs = Some(TokenLogprobs { chosen: -1.0, top: Vec::new() });
        EventKind::Token(GeneratedToken { id: 1, bytes: b"x".to_vec(), text: text.to_owned(), text_offset, logprobs })
    }

    fn end(reason: FinishReason, text: &str) -> EventKind {
        EventKind::Finished(Finished { reason, text: text.to_owned(), prompt_tokens: 1, generated_tokens: 1 })
    }

    /// Text and offsets of the pieces that these events make, and those of the whole choice.
    fn answers(events: &[EventKind]) -> (Vec<(String, Vec<usize>)>, (String, Vec<usize>)) {
        let summary =
            |piece: Piece| (piece.text, piece.tokens.iter().map(|token| token.text_offset).collect::<Vec<usize>>());
        let (mut pieces, mut draft) = (Pieces::new(true), Draft::new(Pieces::new(true)));
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
}
