//! One request on its way: its tokens, how far the model has read them, and what was made of them.
//!
//! A sequence knows nothing of batches or contexts. The only thing that it needs to go on is its tokens: draws are
//! addressed by their number, and penalties, characters and stop strings follow from replaying the tokens. So a request that resumes is
//! one whose first tokens were chosen elsewhere.

use std::mem;

use super::{
    draft::Drafter,
    event::{EventKind, FinishReason, PromptToken},
    extremes::LogitError,
    logprobs::TokenLogprobs,
    model::TextModel,
    penalties::Penalties,
    request::ValidRequest,
    request_error::RequestError,
    rng,
    sampler::Sampler,
    stop::{Matched, StopMatcher},
    tokenizer::Tokenizer,
    utf8::Utf8Stream,
};

/// The state of a request that has been accepted.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) id: u64,
    request: ValidRequest,
    /// The prompt, then what was chosen.
    tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub(super) prompt_tokens: usize,
    /// How many of the tokens the model has read.
    read: usize,
    penalties: Penalties,
    utf8: Utf8Stream,
    stops: StopMatcher,
    /// The prompt's log-probabilities so far; its first token has none.
    prompt_logprobs: Vec<TokenLogprobs>,
    /// Whether the prompt is still to be echoed.
    echoes: bool,
    /// Its guesses at tokens to come.
    drafter: Drafter,
    /// Whether it runs without company, since the company it had has failed.
    alone: bool,
    /// Whether its start has been told.
    started: bool,
}

/// A token that was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) token: u32,
    pub(super) logprobs: Option<TokenLogprobs>,
}

/// What a token led to.
#[derive(Debug, PartialEq)]
pub(super) struct Accepted {
    /// Text that can be delivered now.
    pub(super) text: String,
    /// Set with the last token: why, and the text that had been held back.
    pub(super) finished: Option<(FinishReason, String)>,
}

impl Sequence {
    /// Starts with the prompt, and replays the tokens that the request resumes from.
    pub(super) fn new(
        id: u64,
        mut request: ValidRequest,
        model: &TextModel,
        tokenizer: &Tokenizer,
    ) -> Result<Self, RequestError> {
        let tokens = mem::take(&mut request.prompt);
        let resume = mem::take(&mut request.resume);
        let mut sequence = Self {
            id,
            prompt_tokens: tokens.len(),
            penalties: Penalties::new(&tokens),
            tokens,
            read: 0,
            utf8: Utf8Stream::default(),
            stops: StopMatcher::new(mem::take(&mut request.stop)),
            prompt_logprobs: Vec::new(),
            // A request that resumes has echoed its prompt before.
            echoes: request.echo && resume.is_empty(),
            drafter: Drafter::default(),
            alone: false,
            started: false,
            request,
        };
        for (index, &token) in resume.iter().enumerate() {
            if sequence.accept(token, model, tokenizer).finished.is_some() {
                return Err(RequestError::ResumeFinished { tokens: resume.len(), last: index + 1 });
            }
        }
        Ok(sequence)
    }

    /// Tokens that were chosen so far.
    pub(super) fn generated_tokens(&self) -> usize {
        self.tokens.len() - self.prompt_tokens
    }

    /// The position of the next token to read.
    pub(super) fn position(&self) -> usize {
        self.read
    }

    /// The next tokens for the model to read, at most `limit`.
    pub(super) fn unread(&self, limit: usize) -> &[u32] {
        let end = self.tokens.len().min(self.read.saturating_add(limit));
        &self.tokens[self.read..end]
    }

    /// How many tokens the model has yet to read before it can choose the next; 1 while it writes.
    pub(super) fn unread_count(&self) -> usize {
        self.tokens.len() - self.read
    }

    /// How many more positions it can come to need: what is unread, and what may yet be chosen.
    pub(super) fn remaining(&self) -> usize {
        self.unread_count() + (self.request.max_tokens as usize).saturating_sub(self.generated_tokens())
    }

    /// Whether it reads a prompt, or its own earlier tokens, rather than writes.
    pub(super) fn is_reading(&self) -> bool {
        self.unread_count() > 1 || self.generated_tokens() == 0
    }

    /// How many of the first tokens are those of `other`, of which `other` has read some: the first is how many both have, the
    /// second how many of these have been read. The last token is left out, since its logits are wanted.
    pub(super) fn shared_with(&self, other: &Self) -> (usize, usize) {
        if self.scores_prompt() {
            return (0, 0);
        }
        let own = &self.tokens[..self.tokens.len() - 1];
        let both = own.iter().zip(&other.tokens).take_while(|(mine, theirs)| mine == theirs).count();
        (both, both.min(other.read))
    }

    /// At most `count` guesses at the tokens after the last, as far as so many may be chosen.
    pub(super) fn draft(&mut self, count: usize) -> Vec<u32> {
        // The step itself chooses one token, and one that is the last needs no successor.
        let may_follow = (self.request.max_tokens as usize).saturating_sub(self.generated_tokens() + 1);
        match count.min(may_follow) {
            0 => Vec::new(),
            count => self.drafter.draft(&self.tokens, count),
        }
    }

    /// Learns how many of the guesses that were read were right.
    pub(super) fn learn(&mut self, read: usize, right: usize) {
        self.drafter.learn(read, right);
    }

    /// Goes back to where the model has read nothing, to run once more, without company.
    pub(super) fn retry_alone(&mut self) {
        self.read = 0;
        self.prompt_logprobs.clear();
        self.alone = true;
    }

    /// Whether it must not share a context.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// The event of its start, once.
    pub(super) fn take_start(&mut self) -> Option<EventKind> {
        let is_first = !mem::replace(&mut self.started, true);
        is_first.then_some(EventKind::Started { prompt_tokens: self.prompt_tokens as u32 })
    }

    /// Notes that the model has read `count` more tokens.
    pub(super) fn advance(&mut self, count: usize) {
        self.read += count;
    }

    /// Whether tokens are to be generated, and not only the prompt to be echoed.
    pub(super) fn wants_tokens(&self) -> bool {
        self.request.max_tokens > 0
    }

    /// Whether anything of it has to be computed.
    pub(super) fn needs_model(&self) -> bool {
        self.wants_tokens() || self.scores_prompt()
    }

    /// Whether the log-probabilities of the tokens that are read next are wanted.
    pub(super) fn scores_prompt(&self) -> bool {
        self.echoes && self.request.logprobs.is_some()
    }

    /// Takes the log-probabilities of the prompt's tokens from the logits `[N, V]` of the positions from [`Sequence::position`] on. Each
    /// position's are those of the token after it.
    pub(super) fn score_prompt(
        &mut self,
        logits: &[f32],
        vocabulary_size: usize,
        sampler: &mut Sampler,
    ) -> Result<(), LogitError> {
        let count = self.request.logprobs.unwrap_or_default();
        let followers = self.tokens[..self.prompt_tokens].iter().skip(self.read + 1);
        for (row, &token) in logits.chunks_exact(vocabulary_size).zip(followers) {
            self.prompt_logprobs.push(sampler.logprobs(row, token, count)?);
        }
        Ok(())
    }

    /// The prompt's event, once, when the model has read the prompt and the request echoes it.
    pub(super) fn take_echo(&mut self, tokenizer: &Tokenizer) -> Option<EventKind> {
        if !self.echoes || self.read < self.prompt_tokens {
            return None;
        }
        self.echoes = false;
        let prompt = &self.tokens[..self.prompt_tokens];
        let mut logprobs = mem::take(&mut self.prompt_logprobs).into_iter();
        let token = |(index, &id): (usize, &u32)| {
            let logprobs = if index == 0 { None } else { logprobs.next() };
            PromptToken { id, logprobs }
        };
        let tokens = prompt.iter().enumerate().map(token).collect();
        // Every token of a valid request is in the vocabulary.
        let text = tokenizer.decode(prompt).unwrap_or_default();
        Some(EventKind::Prompt { text, tokens })
    }

    /// Chooses the next token by the model's logits. `raw` keeps a copy of them where log-probabilities are wanted.
    pub(super) fn choose(
        &self,
        logits: &mut [f32],
        raw: &mut Vec<f32>,
        model: &TextModel,
        sampler: &mut Sampler,
    ) -> Result<Choice, LogitError> {
        if self.request.logprobs.is_some() {
            raw.clear();
            raw.extend_from_slice(logits);
        }
        let sampling = &self.request.sampling;
        self.penalties.apply(sampling, logits);
        if self.generated_tokens() < self.request.min_tokens as usize {
            exclude(&model.end_of_text, logits);
        }
        let draws = rng::draws(sampling.seed, self.generated_tokens() as u64);
        let token = sampler.sample(logits, sampling, draws)?;
        let logprobs = self.request.logprobs.map(|count| sampler.logprobs(raw, token, count)).transpose()?;
        Ok(Choice { token, logprobs })
    }

    /// Appends a token that was chosen, and works out its text and whether it is the last.
    pub(super) fn accept(&mut self, token: u32, model: &TextModel, tokenizer: &Tokenizer) -> Accepted {
        self.tokens.push(token);
        self.penalties.count(token);
        let ends_text = model.end_of_text.contains(&token);
        let bytes = if ends_text { None } else { tokenizer.token_bytes(token) };
        let piece = self.utf8.push(bytes.unwrap_or_default());
        let Matched { text, stopped } = self.stops.push(&piece);
        let finished = if stopped {
            Some((FinishReason::Stop, String::new()))
        } else if ends_text && !self.request.ignore_end_of_text {
            Some(self.finish(FinishReason::EndOfText))
        } else if self.generated_tokens() >= self.request.max_tokens as usize {
            Some(self.finish(FinishReason::Length))
        } else {
            None
        };
        Accepted { text, finished }
    }

    /// Lets go of what was held back. Even then a stop string may be completed, by the replacement of an unfinished character.
    fn finish(&mut self, reason: FinishReason) -> (FinishReason, String) {
        let unfinished = self.utf8.finish();
        let Matched { text, stopped } = self.stops.push(&unfinished);
        if stopped { (FinishReason::Stop, text) } else { (reason, text + &self.stops.finish()) }
    }
}

/// Makes tokens less likely than any other. A logit that is not finite stays, to be reported.
fn exclude(tokens: &[u32], logits: &mut [f32]) {
    for &token in tokens {
        if let Some(logit) = logits.get_mut(token as usize).filter(|logit| logit.is_finite()) {
            *logit = f32::MIN;
        }
    }
}
