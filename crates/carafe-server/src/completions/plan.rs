//! From a request's body to what is asked of the model.
//!
//! The guest checks everything that concerns a single sequence, ranges and the context's length
//! included, and names the field; here is checked only what it never sees: how many sequences there
//! are, and what goes together.

use std::iter;
use std::sync::Arc;

use carafe_host::text::{Prompt, Reasoning, Request, Sampling, TextModel};

use super::request::{CompletionRequest, PromptField, Seed, StopField, StreamOptions};
use crate::error::ApiError;
use crate::models::Served;
use crate::quote::quoted;
use crate::random;
use crate::tenant::Tenant;

/// Most choices of a prompt; OpenAI's number.
const MAX_N: u32 = 128;

/// Most sequences to choose a prompt's choices from; OpenAI's number.
const MAX_BEST_OF: u32 = 20;

/// A request that was checked: its sequences, and how they are answered.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One for each prompt; its sequences share it, and differ in their seeds alone.
    pub(crate) requests: Vec<Arc<Request>>,
    /// One for each sequence: `best_of` for each prompt, in order.
    pub(crate) seeds: Vec<u64>,
    /// Choices answered for each prompt.
    pub(crate) n: usize,
    /// Sequences generated for each prompt, at least `n`.
    pub(crate) best_of: usize,
    /// Whether the answer holds log-probabilities.
    pub(crate) logprobs: bool,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl Plan {
    /// Checks a tenant's request to this model. `default_max_tokens` is how many tokens it
    /// generates at most if it does not say so.
    pub(crate) fn new(
        mut body: CompletionRequest,
        served: &Served<TextModel>,
        tenant: &Tenant,
        default_max_tokens: u32,
    ) -> Result<Self, ApiError> {
        check_companions(&body)?;
        let stream = body.stream.unwrap_or_default();
        let (n, best_of) = choices(&body, stream)?;
        let prompts = prompts(body.prompt.take(), served)?;
        check_places(prompts.len(), &body, best_of, served, tenant)?;
        let seeds = seeds(body.seed, prompts.len() * best_of as usize);
        let include_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or_default();
        let logprobs = body.logprobs.is_some();
        let template = template(body, tenant, default_max_tokens, best_of > n)?;
        let requests = prompts.into_iter().map(|prompt| Arc::new(Request { prompt, ..template.clone() })).collect();
        Ok(Self { requests, seeds, n: n as usize, best_of: best_of as usize, logprobs, stream, include_usage })
    }

    /// The prompts, for a log that may have them.
    pub(crate) fn prompts(&self) -> String {
        let prompts = self.requests.iter().map(|request| match &request.prompt {
            Prompt::Text(prompt) => prompt.text.clone(),
            Prompt::Chat(chat) => chat.messages.clone(),
            Prompt::Tokens(tokens) => format!("{tokens:?}"),
        });
        prompts.collect::<Vec<_>>().join("\n")
    }
}

/// Refuses fields that this server, or their neighbours, make impossible.
fn check_companions(body: &CompletionRequest) -> Result<(), ApiError> {
    if let Some(field) = body.unsupported {
        return Err(ApiError::unsupported(field.name, field.refusal()));
    }
    if body.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        let message =
            "`suffix` must be null or empty: these models only continue a text, they cannot fill in its middle";
        return Err(ApiError::unsupported("suffix", message));
    }
    check_stream_options(body.stream_options.unwrap_or_default(), body.stream.unwrap_or_default())
}

fn check_stream_options(options: StreamOptions, stream: bool) -> Result<(), ApiError> {
    if options.include_usage == Some(true) && !stream {
        let message = "`include_usage` is only possible where `stream` is true; a whole answer has its `usage` anyway";
        return Err(ApiError::invalid("stream_options", message));
    }
    let unsupported = [
        ("include_obfuscation", options.include_obfuscation, "chunks are not padded here"),
        ("continuous_usage_stats", options.continuous_usage_stats, "the last chunk has the usage, if it is asked for"),
    ];
    match unsupported.into_iter().find(|(_, value, _)| *value == Some(true)) {
        Some((name, _, why)) => {
            let message = format!("`stream_options.{name}` must be false, or left out: {why}");
            Err(ApiError::unsupported("stream_options", message))
        }
        None => Ok(()),
    }
}

/// How many choices a prompt has, and of how many sequences they are chosen.
fn choices(body: &CompletionRequest, stream: bool) -> Result<(u32, u32), ApiError> {
    let n = body.n.unwrap_or(1);
    if !(1..=MAX_N).contains(&n) {
        return Err(ApiError::invalid("n", format!("`n` must be 1 to {MAX_N}, got {n}")));
    }
    let best_of = body.best_of.filter(|&best_of| best_of > 0).unwrap_or(n);
    let rule = if best_of < n {
        "it must be at least `n`".to_owned()
    } else if best_of > n && stream {
        "it must be equal to `n` where `stream` is true".to_owned()
    } else if best_of > n.max(MAX_BEST_OF) {
        format!("it must be at most {MAX_BEST_OF}, or equal to `n`")
    } else {
        return Ok((n, best_of));
    };
    Err(ApiError::invalid("best_of", format!("`best_of` is {best_of} and `n` {n}; {rule}")))
}

/// A seed for each sequence. They are all different, for sequences of equal prompts would else be
/// one text several times.
fn seeds(given: Option<Seed>, count: usize) -> Vec<u64> {
    match given {
        Some(Seed(first)) => (0..count as u64).map(|number| first.wrapping_add(number)).collect(),
        None => iter::repeat_with(random::seed).take(count).collect(),
    }
}

fn prompts(field: Option<PromptField>, served: &Served<TextModel>) -> Result<Vec<Prompt>, ApiError> {
    let new_text = || Prompt::Tokens(served.eos_token_id.into_iter().collect());
    let of_text = |text: String| if text.is_empty() { new_text() } else { Prompt::text(text) };
    let of_tokens = |tokens: Vec<u32>| if tokens.is_empty() { new_text() } else { Prompt::Tokens(tokens) };
    let prompts: Vec<Prompt> = match field {
        Some(PromptField::Text(text)) => vec![of_text(text)],
        Some(PromptField::Texts(texts)) => texts.into_iter().map(of_text).collect(),
        Some(PromptField::Tokens(tokens)) => vec![of_tokens(tokens)],
        Some(PromptField::TokenLists(lists)) => lists.into_iter().map(of_tokens).collect(),
        None => vec![new_text()],
    };
    if prompts.is_empty() {
        return Err(ApiError::invalid("prompt", "`prompt` is an empty array; it must hold at least one prompt"));
    }
    Ok(prompts)
}

/// Refuses what would never fit, however long its client waited.
fn check_places(
    prompts: usize,
    body: &CompletionRequest,
    best_of: u32,
    served: &Served<TextModel>,
    tenant: &Tenant,
) -> Result<(), ApiError> {
    let (sequences, most) = (prompts.saturating_mul(best_of as usize), served.places.most());
    let places = tenant.most_sequences().map_or(most, |limit| limit.min(most));
    if sequences <= places as usize {
        return Ok(());
    }
    let param = if prompts > places as usize {
        "prompt"
    } else if body.best_of.is_some_and(|best_of| best_of > 0) {
        "best_of"
    } else {
        "n"
    };
    let message = format!(
        "{sequences} sequences are asked for (prompts: {prompts}, sequences of each: {best_of}), and {}",
        places_words(served, tenant, places)
    );
    Err(ApiError::invalid(param, message))
}

/// Why a request can have no more than `places` sequences, and what to do about it.
fn places_words(served: &Served<TextModel>, tenant: &Tenant, places: u32) -> String {
    let all = served.places.all();
    if tenant.most_sequences() == Some(places) {
        return format!("this key's limit `sequences` is {places}: ask for at most {places}");
    }
    let kept =
        if places < all { format!(", less {} that are kept for other keys", all - places) } else { String::new() };
    format!(
        "this model has {all} places, one for each sequence at one time{kept}: ask for at most {places}, or start the \
         server with a larger `--queue`"
    )
}

/// The request of any of the sequences, but for its prompt and seed.
fn template(
    body: CompletionRequest,
    tenant: &Tenant,
    default_max_tokens: u32,
    ranked: bool,
) -> Result<Request, ApiError> {
    Ok(Request {
        prompt: Prompt::Tokens(Vec::new()),
        max_tokens: body.max_tokens.unwrap_or(default_max_tokens),
        max_tokens_is_default: body.max_tokens.is_none(),
        stop: body.stop.map_or_else(Vec::new, |StopField(stops)| stops),
        ignore_eos: body.ignore_eos.unwrap_or_default(),
        min_tokens: body.min_tokens.unwrap_or_default(),
        // Ranking sequences takes the log-probabilities of their tokens.
        logprobs: body.logprobs.or(ranked.then_some(0)),
        echo: body.echo.unwrap_or_default(),
        reasoning: Reasoning::InText,
        skip_special_tokens: true,
        tenant: tenant.number(),
        prefix_cache: body.prefix_cache.unwrap_or(true),
        resume: Vec::new(),
        sampling: Sampling {
            temperature: body.temperature.unwrap_or(1.0),
            top_k: top_k(body.top_k)?,
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

/// The number of tokens to keep; none keeps all, as every number beyond the vocabulary does.
fn top_k(top_k: Option<i64>) -> Result<Option<u32>, ApiError> {
    match top_k {
        None | Some(-1 | 0) => Ok(None),
        Some(count @ 1..) => Ok(Some(u32::try_from(count).unwrap_or(u32::MAX))),
        Some(other) => {
            let message = format!("`top_k` must be 1 and up, or 0 or -1 to keep every token, got {other}");
            Err(ApiError::invalid("top_k", message))
        }
    }
}

/// Token ids out of JSON's keys, which are strings.
fn biases(biases: impl IntoIterator<Item = (String, f32)>) -> Result<Vec<(u32, f32)>, ApiError> {
    let parse = |(key, bias): (String, f32)| {
        // `+1` and `01` are read as numbers, but are no other spelling of `1`: a token would be
        // there twice.
        let token = key.parse().ok().filter(|token: &u32| token.to_string() == key);
        token.map(|token| (token, bias)).ok_or_else(|| {
            let message = format!("`logit_bias` has the key {}; expected a token id", quoted(&key));
            ApiError::invalid("logit_bias", message)
        })
    };
    biases.into_iter().map(parse).collect()
}
