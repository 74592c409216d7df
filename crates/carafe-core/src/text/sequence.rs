//! One request on its way: its tokens, how many of them the model has computed, and what was made
//! of them.
//!
//! A sequence knows nothing of batches or blocks. The only thing that it needs to go on is its
//! tokens: draws are addressed by their number, and penalties, characters and stop strings follow
//! from replaying the tokens. So a request that resumes is one whose first tokens were chosen
//! elsewhere.

use std::{iter, mem};

use super::{
    draft::Drafter,
    event::{EventKind, FinishReason, PromptToken},
    logit_stats::LogitError,
    logprobs::TokenLogprobs,
    model::TextModel,
    output_text::{Echo, OutputText, TokenText},
    penalties::Penalties,
    reasoning::Delta,
    request::ValidRequest,
    request_error::RequestError,
    rng,
    sampler::Sampler,
};
use crate::tokenizer::{TextStream, Tokenizer};

/// The state of a request that has been accepted.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) id: u64,
    request: ValidRequest,
    /// The prompt, then what was chosen.
    tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub(super) prompt_tokens: usize,
    /// How many of the tokens the model has computed.
    num_computed_tokens: usize,
    /// How many of the prompt's tokens were in the prefix cache when it was let in first.
    num_cached_tokens: usize,
    penalties: Penalties,
    text: OutputText,
    /// The prompt's log-probabilities so far; its first token has none.
    prompt_logprobs: Vec<TokenLogprobs>,
    /// The prompt's text, while it is still to be echoed.
    echo: Option<Echo>,
    /// What drafts its next tokens.
    drafter: Drafter,
    /// Whether it runs in inferences of its own, since one that it shared has failed.
    isolated: bool,
    /// Whether its start was emitted.
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
    /// What can be delivered now.
    pub(super) delta: Delta,
    /// How many characters of the text come before the one in which the token begins.
    pub(super) text_offset: usize,
    /// Set with the last token: why, and what had been held back.
    pub(super) finished: Option<(FinishReason, Delta)>,
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
        let is_skipped = |token| request.skip_special_tokens && tokenizer.is_special(token);
        let texts = tokens.iter().map(|&token| Some(token).filter(|&token| !is_skipped(token)));
        let stream =
            if request.echo { TextStream::new() } else { TextStream::after(texts.clone().flatten(), tokenizer) };
        let mut text = OutputText::new(stream, mem::take(&mut request.stop), mem::take(&mut request.reasoning));
        let echo = request.echo.then(|| text.echo(texts, tokenizer));
        let mut sequence = Self {
            id,
            prompt_tokens: tokens.len(),
            penalties: Penalties::new(&tokens),
            tokens,
            num_computed_tokens: 0,
            num_cached_tokens: 0,
            text,
            prompt_logprobs: Vec::new(),
            // A request that resumes has echoed its prompt before.
            echo: echo.filter(|_| resume.is_empty()),
            drafter: Drafter::default(),
            isolated: false,
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

    /// All tokens, computed or not.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of the tokens the model has computed; the next one is at this position.
    pub(super) fn num_computed_tokens(&self) -> usize {
        self.num_computed_tokens
    }

    /// The next tokens for the model to compute, at most `limit`.
    pub(super) fn pending_tokens(&self, limit: usize) -> &[u32] {
        let end = self.tokens.len().min(self.num_computed_tokens.saturating_add(limit));
        &self.tokens[self.num_computed_tokens..end]
    }

    /// How many tokens the model has yet to compute before the next can be chosen; 1 while it
    /// decodes.
    pub(super) fn num_pending_tokens(&self) -> usize {
        self.tokens.len() - self.num_computed_tokens
    }

    /// The client that it belongs to.
    pub(super) fn tenant(&self) -> u64 {
        self.request.tenant
    }

    /// Whether it computes a prompt, or its own earlier tokens, rather than decodes.
    pub(super) fn is_prefilling(&self) -> bool {
        self.num_pending_tokens() > 1 || self.generated_tokens() == 0
    }

    /// The salt that its blocks would be found by if it were let in now; none if it would share
    /// nothing. A prompt that is scored wants all of its logits.
    pub(super) fn prefix_salt(&self, model: &TextModel) -> Option<u64> {
        if self.isolated || self.scores_prompt() || !self.request.prefix_cache {
            return None;
        }
        model.prefix_sharing.salt(self.request.tenant)
    }

    /// Whether it begins with the first `count` tokens of `other`. Its own last token is left out,
    /// since that one's logits are wanted.
    pub(super) fn begins_like(&self, other: &Self, count: usize) -> bool {
        let own = &self.tokens[..self.tokens.len() - 1];
        own.get(..count).is_some_and(|own| other.tokens.get(..count) == Some(own))
    }

    /// At most `count` draft tokens after the last, as far as that many may be chosen.
    pub(super) fn draft(&mut self, count: usize) -> Vec<u32> {
        // The step itself chooses one token, and one that is the last needs no successor.
        let may_follow = (self.request.max_tokens as usize).saturating_sub(self.generated_tokens() + 1);
        match count.min(may_follow) {
            0 => Vec::new(),
            count => self.drafter.draft(&self.tokens, count),
        }
    }

    /// Learns how many of the computed draft tokens were accepted.
    pub(super) fn learn(&mut self, num_drafts: usize, num_accepted: usize) {
        self.drafter.learn(num_drafts, num_accepted);
    }

    /// Goes back to where the model has computed nothing; `isolated` if it may be at fault for
    /// that.
    pub(super) fn recompute(&mut self, isolated: bool) {
        self.num_computed_tokens = 0;
        self.prompt_logprobs.clear();
        self.isolated |= isolated;
    }

    /// Whether it must not share an inference.
    pub(super) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Begins after `count` tokens that the KV cache holds already.
    pub(super) fn begin_at(&mut self, count: usize) {
        self.num_computed_tokens = count;
        if !self.started {
            self.num_cached_tokens = count.min(self.prompt_tokens);
        }
    }

    /// Whether its start was emitted.
    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    /// The event of its start, once.
    pub(super) fn take_start(&mut self) -> Option<EventKind> {
        let is_first = !mem::replace(&mut self.started, true);
        is_first.then_some(EventKind::Started {
            prompt_tokens: self.prompt_tokens as u32,
            cached_tokens: self.num_cached_tokens as u32,
        })
    }

    /// Notes that the model has computed `count` more tokens.
    pub(super) fn advance(&mut self, count: usize) {
        self.num_computed_tokens += count;
    }

    /// Whether tokens are to be generated, and not only the prompt to be echoed.
    pub(super) fn wants_tokens(&self) -> bool {
        self.request.max_tokens > 0
    }

    /// Whether anything of it has to be computed.
    pub(super) fn needs_model(&self) -> bool {
        self.wants_tokens() || self.scores_prompt()
    }

    /// Whether the log-probabilities of the tokens that are computed next are wanted.
    pub(super) fn scores_prompt(&self) -> bool {
        self.echo.is_some() && self.request.logprobs.is_some()
    }

    /// Takes the log-probabilities of the prompt's tokens from the logits `[N, V]` of the positions
    /// from [`Sequence::num_computed_tokens`] on. Each position's are those of the token after it.
    pub(super) fn score_prompt(
        &mut self,
        logits: &[f32],
        vocabulary_size: usize,
        sampler: &mut Sampler,
    ) -> Result<(), LogitError> {
        let count = self.request.logprobs.unwrap_or_default();
        let followers = self.tokens[..self.prompt_tokens].iter().skip(self.num_computed_tokens + 1);
        for (row, &token) in logits.chunks_exact(vocabulary_size).zip(followers) {
            self.prompt_logprobs.push(sampler.logprobs(row, token, count)?);
        }
        Ok(())
    }

    /// The prompt's event, once, when the model has computed the prompt and the request echoes it.
    pub(super) fn take_echo(&mut self) -> Option<EventKind> {
        let Echo { text, offsets } = self.echo.take_if(|_| self.num_computed_tokens >= self.prompt_tokens)?;
        // Nothing precedes the first token, and the others have none either where they were not
        // asked for.
        let scores = mem::take(&mut self.prompt_logprobs).into_iter().map(Some);
        let mut logprobs = iter::once(None).chain(scores).chain(iter::repeat(None));
        let token = |(&id, &text_offset): (&u32, &usize)| PromptToken {
            id,
            text_offset: text_offset as u32,
            logprobs: logprobs.next().flatten(),
        };
        let tokens = self.tokens.iter().zip(&offsets).map(token).collect();
        Some(EventKind::Prompt { text, tokens })
    }

    /// Chooses the next token by the model's logits. `raw` keeps a copy of them where
    /// log-probabilities are wanted.
    pub(super) fn choose(
        &self,
        logits: &mut [f32],
        raw: &mut Vec<f32>,
        model: &TextModel,
        sampler: &mut Sampler,
    ) -> Result<Choice, LogitError> {
        let sampling = &self.request.sampling;
        let may_end = self.generated_tokens() >= self.request.min_tokens as usize;
        let excluded = if may_end { &[] } else { &model.eos_token_ids[..] };
        let changes = sampling.changes_logits() || !excluded.is_empty();
        if changes && self.request.logprobs.is_some() {
            raw.clear();
            raw.extend_from_slice(logits);
        }
        self.penalties.apply(sampling, excluded, logits);
        let key = rng::fold_in(sampling.seed, self.generated_tokens() as u64);
        let token = sampler.sample(logits, sampling, key)?;
        let raw = if changes { raw } else { logits };
        let logprobs = self.request.logprobs.map(|count| sampler.logprobs(raw, token, count)).transpose()?;
        Ok(Choice { token, logprobs })
    }

    /// Appends a token that was chosen, and works out its text and whether it is the last.
    pub(super) fn accept(&mut self, token: u32, model: &TextModel, tokenizer: &Tokenizer) -> Accepted {
        self.tokens.push(token);
        self.penalties.count(token);
        let is_eos = model.eos_token_ids.contains(&token);
        let has_text = Some(token).filter(|_| !self.is_skipped(token, is_eos, tokenizer));
        let TokenText { delta, offset, stopped } = self.text.push(has_text, tokenizer);
        let finished = if stopped {
            Some((FinishReason::Stop, Delta::default()))
        } else if is_eos && !self.request.ignore_eos {
            Some(self.finish(FinishReason::Eos, tokenizer))
        } else if self.generated_tokens() >= self.request.max_tokens as usize {
            Some(self.finish(FinishReason::Length, tokenizer))
        } else {
            None
        };
        Accepted { delta, text_offset: offset, finished }
    }

    /// Whether a token gives no text: one that ends the text never does, and others that are
    /// special or EOS only where special tokens are wanted, or where they mark reasoning.
    fn is_skipped(&self, token: u32, is_eos: bool, tokenizer: &Tokenizer) -> bool {
        if is_eos && !self.request.ignore_eos {
            return true;
        }
        let is_mark = || tokenizer.token_bytes(token).is_some_and(|bytes| self.text.is_mark(&bytes));
        self.request.skip_special_tokens && (is_eos || tokenizer.is_special(token)) && !is_mark()
    }

    /// Ends the text: why, and what had been held back.
    pub(super) fn finish(&mut self, reason: FinishReason, tokenizer: &Tokenizer) -> (FinishReason, Delta) {
        self.text.finish(reason, tokenizer)
    }
}
