//! What has come of a request so far: its text, its tokens and when they came.

use std::time::{Duration, Instant};

use anyhow::Result;
use carafe_host::text::{EventKind, FinishReason, GeneratedToken, PromptToken};

use super::failed;

/// The events of one request, gathered.
pub(crate) struct Outcome {
    started: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
    text: String,
    prompt: Vec<PromptToken>,
    tokens: Vec<GeneratedToken>,
    prompt_tokens: u32,
    finish_reason: Option<FinishReason>,
}

impl Outcome {
    /// Nothing yet, of a request that starts now.
    pub(crate) fn new(started: Instant) -> Self {
        let (text, prompt, tokens) = (String::new(), Vec::new(), Vec::new());
        Self { started, first: None, last: None, text, prompt, tokens, prompt_tokens: 0, finish_reason: None }
    }

    /// Takes an event in; the text that it delivers.
    pub(crate) fn take(&mut self, event: EventKind) -> Result<String> {
        let text = match event {
            EventKind::Started(started) => {
                self.prompt_tokens = started.prompt_tokens;
                String::new()
            }
            EventKind::Prompt(prompt) => {
                self.prompt = prompt.tokens;
                prompt.text
            }
            EventKind::Token(token) => {
                let now = Instant::now();
                self.first.get_or_insert(now);
                self.last = Some(now);
                let text = token.text.clone();
                self.tokens.push(token);
                text
            }
            EventKind::Finished(finished) => {
                self.finish_reason = Some(finished.reason);
                finished.text
            }
            EventKind::Failed(failure) => return failed(&failure.message),
        };
        self.text.push_str(&text);
        Ok(text)
    }

    /// Whether the request came to its own end.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// Everything delivered.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The prompt's tokens, if they were echoed.
    pub(crate) fn prompt(&self) -> &[PromptToken] {
        &self.prompt
    }

    /// Every token generated.
    pub(crate) fn tokens(&self) -> &[GeneratedToken] {
        &self.tokens
    }

    /// Number of tokens of the prompt.
    pub(crate) fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    /// Why the request ended, as OpenAI's API spells it.
    pub(crate) fn finish_reason(&self) -> &'static str {
        match self.finish_reason {
            Some(FinishReason::Eos | FinishReason::Stop) => "stop",
            Some(FinishReason::Length) => "length",
            None => "interrupted",
        }
    }

    /// From the request's start to its first token.
    pub(crate) fn time_to_first_token(&self) -> Option<Duration> {
        self.first.map(|first| first - self.started)
    }

    /// Tokens a second after the first one.
    pub(crate) fn tokens_per_second(&self) -> Option<f64> {
        let time = self.last?.duration_since(self.first?).as_secs_f64();
        (self.tokens.len() > 1).then(|| (self.tokens.len() - 1) as f64 / time)
    }
}
