//! From a request to what is asked of the model.
//!
//! The guest checks everything that concerns a single sequence, ranges and the context's length
//! included, and names the field; here is checked only what it never sees: how many sequences there
//! are.

use std::iter;
use std::sync::Arc;

use carafe_host::text::{Prompt, Reasoning, Request, Sampling, TextModel};
use carafe_models::manifest::GenerationDefaults;

use super::pieces::TokenTiming;
use super::request::{ALL_TOKENS, GenerationRequest, SamplingRequest};
use crate::error::ApiError;
use crate::models::Served;
use crate::random;
use crate::tenant::Tenant;

/// A request as sequences of a model.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each prompt; its sequences share it, and differ in their seeds alone.
    pub(super) requests: Vec<Arc<Request>>,
    /// One for each sequence: `best_of` for each prompt, in order.
    pub(super) seeds: Vec<u64>,
    /// Choices answered for each prompt.
    pub(super) n: usize,
    /// Sequences generated for each prompt, at least `n`.
    pub(super) best_of: usize,
    pub(super) tokens: TokenTiming,
}

impl Plan {
    /// Plans a tenant's request to this model.
    pub(super) fn new(
        mut request: GenerationRequest,
        served: &Served<TextModel>,
        tenant: &Tenant,
    ) -> Result<Self, ApiError> {
        check_permits(&request, served, tenant)?;
        check_chat(&request, served)?;
        let (n, best_of) = (request.n as usize, request.best_of.unwrap_or(request.n) as usize);
        let prompts = std::mem::take(&mut request.prompts);
        let seeds = seeds(request.seed, prompts.len() * best_of);
        let tokens = match (request.logprobs, &request.reasoning) {
            (None, _) => TokenTiming::Never,
            (Some(_), Reasoning::InText) => TokenTiming::WithText,
            (Some(_), _) => TokenTiming::AtOnce,
        };
        let template = template(request, served, tenant, best_of > n);
        let new_text = || Prompt::Tokens(served.eos_token_id.into_iter().collect());
        let prompts = prompts.into_iter().map(|prompt| prompt.unwrap_or_else(new_text));
        let requests = prompts.map(|prompt| Arc::new(Request { prompt, ..template.clone() })).collect();
        Ok(Self { requests, seeds, n, best_of, tokens })
    }

    /// The prompts, for a log that may have them.
    pub(super) fn prompts(&self) -> String {
        let prompts = self.requests.iter().map(|request| match &request.prompt {
            Prompt::Text(prompt) => prompt.text.clone(),
            Prompt::Chat(chat) => chat.messages.clone(),
            Prompt::Tokens(tokens) => format!("{tokens:?}"),
        });
        prompts.collect::<Vec<_>>().join("\n")
    }
}

/// A seed for each sequence. They are all different, for sequences of equal prompts would else be
/// one text several times.
fn seeds(first: Option<u64>, count: usize) -> Vec<u64> {
    match first {
        Some(first) => (0..count as u64).map(|number| first.wrapping_add(number)).collect(),
        None => iter::repeat_with(random::seed).take(count).collect(),
    }
}

/// Refuses what would never fit, however long its client waited.
fn check_permits(request: &GenerationRequest, served: &Served<TextModel>, tenant: &Tenant) -> Result<(), ApiError> {
    let (prompts, of_prompt) = (request.prompts.len(), request.best_of.unwrap_or(request.n));
    let (sequences, most) = (prompts.saturating_mul(of_prompt as usize), served.permits.most());
    let permits = tenant.most_sequences().map_or(most, |limit| limit.min(most));
    if sequences <= permits as usize {
        return Ok(());
    }
    let param = if prompts > permits as usize {
        "prompt"
    } else if request.best_of.is_some() {
        "best_of"
    } else {
        "n"
    };
    let message = format!(
        "{sequences} sequences are asked for (prompts: {prompts}, sequences of each: {of_prompt}), and {}",
        permits_words(served, tenant, permits)
    );
    Err(ApiError::invalid(param, message))
}

/// Why a request can have no more than `permits` sequences, and what to do about it.
fn permits_words(served: &Served<TextModel>, tenant: &Tenant, permits: u32) -> String {
    let all = served.permits.all();
    if tenant.most_sequences() == Some(permits) {
        return format!("this key's limit `sequences` is {permits}: ask for at most {permits}");
    }
    let kept =
        if permits < all { format!(", less {} that are kept for other keys", all - permits) } else { String::new() };
    format!(
        "this model has {all} permits, one for each sequence at one time{kept}: ask for at most {permits}, or start the \
         server with a larger `--queue`"
    )
}

/// Refuses a conversation where there is no template for it.
fn check_chat(request: &GenerationRequest, served: &Served<TextModel>) -> Result<(), ApiError> {
    let is_chat = request.prompts.iter().flatten().any(|prompt| matches!(prompt, Prompt::Chat(_)));
    if is_chat { served.check_chat() } else { Ok(()) }
}

/// The request of any of the sequences, but for its prompt and seed.
fn template(request: GenerationRequest, served: &Served<TextModel>, tenant: &Tenant, ranked: bool) -> Request {
    Request {
        prompt: Prompt::Tokens(Vec::new()),
        max_tokens: request.max_tokens.unwrap_or(request.default_max_tokens),
        max_tokens_is_default: request.max_tokens.is_none(),
        stop: request.stop,
        ignore_eos: request.ignore_eos,
        min_tokens: request.min_tokens,
        // Ranking sequences takes the log-probabilities of their tokens.
        logprobs: request.logprobs.or(ranked.then_some(0)),
        echo: request.echo,
        reasoning: request.reasoning,
        skip_special_tokens: request.skip_special_tokens,
        tenant: tenant.number(),
        prefix_cache: request.prefix_cache,
        resume: Vec::new(),
        sampling: sampling(request.sampling, &served.generation),
    }
}

/// The request's way, else the model's, else the one that changes nothing.
fn sampling(request: SamplingRequest, defaults: &GenerationDefaults) -> Sampling {
    Sampling {
        temperature: request.temperature.or(defaults.temperature).unwrap_or(1.0),
        top_k: request.top_k.or(defaults.top_k).filter(|count| *count < ALL_TOKENS),
        top_p: request.top_p.or(defaults.top_p).unwrap_or(1.0),
        min_p: request.min_p.or(defaults.min_p).unwrap_or(0.0),
        repetition_penalty: request.repetition_penalty.or(defaults.repetition_penalty).unwrap_or(1.0),
        frequency_penalty: request.frequency_penalty.unwrap_or(0.0),
        presence_penalty: request.presence_penalty.unwrap_or(0.0),
        logit_bias: request.logit_bias,
        seed: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_does_not_say_is_the_models_way_and_what_it_says_its_own() {
        let defaults = GenerationDefaults { temperature: Some(0.6), top_k: Some(20), ..GenerationDefaults::default() };
        let chosen = sampling(SamplingRequest::default(), &defaults);
        assert_eq!((chosen.temperature, chosen.top_k, chosen.top_p, chosen.min_p), (0.6, Some(20), 1.0, 0.0));
        let said = SamplingRequest { temperature: Some(1.0), top_k: Some(ALL_TOKENS), ..SamplingRequest::default() };
        let chosen = sampling(said, &defaults);
        assert_eq!((chosen.temperature, chosen.top_k), (1.0, None));
        let nobodys = sampling(SamplingRequest::default(), &GenerationDefaults::default());
        assert_eq!((nobodys.temperature, nobodys.top_k, nobodys.repetition_penalty), (1.0, None, 1.0));
    }
}
