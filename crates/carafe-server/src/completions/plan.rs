//! From a request's body to what is asked of the model.
//!
//! The guest checks everything that concerns a single sequence, ranges and the context's length included, and names the field; here is
//! checked only what it never sees: how many sequences there are, and what goes together.

use carafe_host::text::{Prompt, Request, Sampling, TextModel};

use super::request::{CompletionRequest, PromptField, StopField};
use crate::error::ApiError;
use crate::models::Served;
use crate::quote::quoted;
use crate::random;

/// Most choices of a prompt, and most sequences to choose them from.
const MAX_CHOICES: u32 = 16;

/// Tokens to generate if a request does not say how many; OpenAI's number.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// A request that was checked: its sequences, and how they are answered.
#[derive(Debug)]
pub(crate) struct Plan {
    /// For each prompt `best_of` sequences.
    pub(crate) requests: Vec<Request>,
    /// Choices answered for each prompt.
    pub(crate) n: usize,
    /// Sequences generated for each prompt, at least `n`.
    pub(crate) best_of: usize,
    /// Whether the answer holds log-probabilities.
    pub(crate) logprobs: bool,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// The seed of each prompt's first sequence.
    pub(crate) seed: u64,
}

impl Plan {
    /// Checks a request to this model.
    pub(crate) fn new(body: CompletionRequest, served: &Served<TextModel>) -> Result<Self, ApiError> {
        check_companions(&body)?;
        let n = choices("n", body.n.unwrap_or(1))?;
        let best_of = choices("best_of", body.best_of.unwrap_or(n))?;
        let stream = body.stream.unwrap_or_default();
        if best_of < n || (stream && best_of > n) {
            let rule = if stream { "equal to `n` where `stream` is true" } else { "at least `n`" };
            return Err(ApiError::invalid("best_of", format!("`best_of` is {best_of} and `n` {n}; it must be {rule}")));
        }
        let prompts = prompts(body.prompt.clone(), served)?;
        check_places(prompts.len(), best_of, served)?;
        let seed = body.seed.unwrap_or_else(random::seed);
        let include_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or_default();
        let logprobs = body.logprobs.is_some();
        let template = template(body, best_of > n)?;
        let of_prompt =
            |prompt: Prompt| (0..best_of).map(move |index| (prompt.clone(), seed.wrapping_add(index.into())));
        let sequence = |(prompt, seed)| {
            let mut request = Request { prompt, ..template.clone() };
            request.sampling.seed = seed;
            request
        };
        let requests = prompts.into_iter().flat_map(of_prompt).map(sequence).collect();
        Ok(Self { requests, n: n as usize, best_of: best_of as usize, logprobs, stream, include_usage, seed })
    }

    /// The prompts, for a log that may have them.
    pub(crate) fn prompts(&self) -> String {
        let prompts = self.requests.iter().step_by(self.best_of).map(|request| match &request.prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Tokens(tokens) => format!("{tokens:?}"),
        });
        prompts.collect::<Vec<_>>().join("\n")
    }
}

/// Refuses fields that this server, or their neighbours, make impossible.
fn check_companions(body: &CompletionRequest) -> Result<(), ApiError> {
    if body.suffix.is_some() {
        let message = "`suffix` must be null: these models only continue a text, they cannot fill in its middle";
        return Err(ApiError::unsupported("suffix", message));
    }
    if body.stream_options.is_some() && body.stream != Some(true) {
        return Err(ApiError::invalid("stream_options", "`stream_options` is only possible where `stream` is true"));
    }
    if body.max_tokens == Some(0) && body.echo != Some(true) {
        let message = "`max_tokens` is 0; it must be at least 1, or 0 with `echo` to score a text";
        return Err(ApiError::invalid("max_tokens", message));
    }
    Ok(())
}

fn choices(param: &str, value: u32) -> Result<u32, ApiError> {
    if (1..=MAX_CHOICES).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::invalid(param, format!("`{param}` must be 1 to {MAX_CHOICES}, got {value}")))
}

fn prompts(field: Option<PromptField>, served: &Served<TextModel>) -> Result<Vec<Prompt>, ApiError> {
    let prompts: Vec<Prompt> = match field {
        Some(PromptField::Text(text)) => vec![Prompt::Text(text)],
        Some(PromptField::Texts(texts)) => texts.into_iter().map(Prompt::Text).collect(),
        Some(PromptField::Tokens(tokens)) => vec![Prompt::Tokens(tokens)],
        Some(PromptField::TokenLists(lists)) => lists.into_iter().map(Prompt::Tokens).collect(),
        None => vec![Prompt::Tokens(served.end_of_text.into_iter().collect())],
    };
    if prompts.is_empty() {
        return Err(ApiError::invalid("prompt", "`prompt` is an empty array; it must hold at least one prompt"));
    }
    Ok(prompts)
}

/// Refuses what would never fit, however long its client waited.
fn check_places(prompts: usize, best_of: u32, served: &Served<TextModel>) -> Result<(), ApiError> {
    let (sequences, places) = (prompts.saturating_mul(best_of as usize), served.places.all());
    if sequences <= places as usize {
        return Ok(());
    }
    let message = format!(
        "{prompts} prompts with {best_of} sequences each are {sequences} sequences; this server takes {places} at one time"
    );
    Err(ApiError::invalid("prompt", message))
}

/// The request of any of the sequences, but for its prompt and seed.
fn template(body: CompletionRequest, ranked: bool) -> Result<Request, ApiError> {
    Ok(Request {
        prompt: Prompt::Tokens(Vec::new()),
        max_tokens: body.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        stop: match body.stop {
            Some(StopField::One(stop)) => vec![stop],
            Some(StopField::Several(stops)) => stops,
            None => Vec::new(),
        },
        ignore_end_of_text: body.ignore_eos.unwrap_or_default(),
        min_tokens: body.min_tokens.unwrap_or_default(),
        // Ranking sequences takes the log-probabilities of their tokens.
        logprobs: body.logprobs.or(ranked.then_some(0)),
        echo: body.echo.unwrap_or_default(),
        resume: Vec::new(),
        sampling: Sampling {
            temperature: body.temperature.unwrap_or(1.0),
            top_k: body.top_k,
            top_p: body.top_p.unwrap_or(1.0),
            min_p: body.min_p.unwrap_or(0.0),
            repetition_penalty: body.repetition_penalty.unwrap_or(1.0),
            frequency_penalty: body.frequency_penalty.unwrap_or(0.0),
            presence_penalty: body.presence_penalty.unwrap_or(0.0),
            logit_bias: biases(body.logit_bias.unwrap_or_default())?,
            seed: 0,
        },
    })
}

/// Token ids out of JSON's keys, which are strings.
fn biases(biases: impl IntoIterator<Item = (String, f32)>) -> Result<Vec<(u32, f32)>, ApiError> {
    let parse = |(key, bias): (String, f32)| match key.parse() {
        Ok(token) => Ok((token, bias)),
        Err(_) => {
            let message = format!("`logit_bias` has the key {}; expected a token id", quoted(&key));
            Err(ApiError::invalid("logit_bias", message))
        }
    };
    biases.into_iter().map(parse).collect()
}
