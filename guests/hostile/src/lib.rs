//! A guest of the text world that attacks its host instead of generating text. For tests only;
//! never built into Carafe.
//!
//! A request's prompt names an attack ([`attacks`]). Its events tell what the host answered: each
//! answer is one token event whose text is `code: message`, or `served` for a compute that went
//! through. Some attacks never answer: they loop, eat memory or crash.

use std::cell::RefCell;

use bindings::exports::carafe::guests::{generation, tokenization};
use generation::{
    Chat, ChatTemplate, Event, EventKind, FinishReason, Finished, GeneratedToken, Model, PreparedPrompt, Prompt,
    Reasoning, Request, RequestError, Started, Stats,
};

mod attacks;
mod bindings;
mod inputs;

/// The guest that `bindings` exports.
pub(crate) struct Hostile;

/// A generator that attacks: requests wait here until the next step.
struct Attacker {
    model: Model,
    waiting: RefCell<Vec<(u64, Request)>>,
}

impl generation::Guest for Hostile {
    type Generator = Attacker;
    type Preparer = Preparer;
}

/// A preparer that passes the name of an attack on as tokens, unless it is an attack itself.
struct Preparer;

impl generation::GuestPreparer for Preparer {
    fn open(
        _model: Model,
        _tokenizer: Vec<u8>,
        _template: Option<ChatTemplate>,
    ) -> Result<generation::Preparer, String> {
        Ok(generation::Preparer::new(Self))
    }

    fn prepare(&self, request: Request) -> Result<PreparedPrompt, RequestError> {
        let name = name(&request);
        if name == "crash-in-prepare" {
            attacks::crash();
        }
        Ok(PreparedPrompt { tokens: name.bytes().map(u32::from).collect(), reasoning: Reasoning::InText })
    }

    fn render(&self, _chat: Chat) -> Result<String, RequestError> {
        attacks::crash()
    }

    fn tokenize(&self, _prompt: Prompt) -> Result<Vec<tokenization::Token>, RequestError> {
        attacks::crash()
    }

    fn detokenize(&self, _tokens: Vec<u32>) -> Result<String, RequestError> {
        attacks::crash()
    }
}

impl generation::GuestGenerator for Attacker {
    fn open(model: Model, _tokenizer: Vec<u8>) -> Result<generation::Generator, String> {
        Ok(generation::Generator::new(Self { model, waiting: RefCell::default() }))
    }

    fn submit(&self, request: Request) -> Result<u64, RequestError> {
        if name(&request) == "crash-in-submit" {
            attacks::crash();
        }
        let mut waiting = self.waiting.borrow_mut();
        let id = waiting.len() as u64;
        waiting.push((id, request));
        Ok(id)
    }

    fn step(&self) -> Vec<Event> {
        let requests = std::mem::take(&mut *self.waiting.borrow_mut());
        requests
            .iter()
            .flat_map(|(id, request)| events(*id, request, attacks::run(&name(request), &self.model)))
            .collect()
    }

    fn cancel(&self, request: u64) -> bool {
        self.waiting.borrow_mut().retain(|(id, _)| *id != request);
        true
    }

    fn stats(&self) -> Stats {
        Stats {
            running: 0,
            waiting: 0,
            used_blocks: 0,
            cached_blocks: 0,
            num_forward_passes: 0,
            scheduled_requests: 0,
            prompt_tokens: 0,
            prefix_cache_queries: 0,
            prefix_cache_hits: 0,
            preemptions: 0,
            generated_tokens: 0,
            draft_tokens: 0,
            accepted_tokens: 0,
        }
    }
}

/// The name of an attack: a text, or its bytes as tokens.
fn name(request: &Request) -> String {
    match &request.prompt {
        Prompt::Text(name) => name.text.clone(),
        Prompt::Chat(chat) => chat.messages.clone(),
        Prompt::Tokens(tokens) => tokens.iter().filter_map(|&token| char::from_u32(token)).collect(),
    }
}

/// A token event for each answer that has not been delivered before, then the end.
fn events(id: u64, request: &Request, answers: Vec<String>) -> Vec<Event> {
    let event = |kind| Event { request: id, kind };
    let count = answers.len() as u32;
    let tokens = answers.into_iter().zip(0..).skip(request.resume.len());
    let token = |(text, id)| GeneratedToken {
        id,
        bytes: Vec::new(),
        text,
        reasoning: String::new(),
        text_offset: 0,
        logprobs: None,
    };
    let tokens = tokens.map(token).map(EventKind::Token);
    let finished = Finished {
        reason: FinishReason::Length,
        text: String::new(),
        reasoning: String::new(),
        prompt_tokens: 1,
        generated_tokens: count,
    };
    let kinds = std::iter::once(EventKind::Started(Started { prompt_tokens: 1, cached_tokens: 0 })).chain(tokens);
    kinds.chain([EventKind::Finished(finished)]).map(event).collect()
}

impl tokenization::Guest for Hostile {
    type Tokenizer = NoTokenizer;
}

/// The world wants a tokenizer; there is nothing to attack in it.
struct NoTokenizer;

impl tokenization::GuestTokenizer for NoTokenizer {
    fn open(_form: Vec<u8>) -> Result<tokenization::Tokenizer, String> {
        Ok(tokenization::Tokenizer::new(Self))
    }

    fn encode(&self, _text: String, _options: tokenization::EncodeOptions) -> Result<Vec<tokenization::Token>, String> {
        Ok(Vec::new())
    }

    fn decode(&self, _tokens: Vec<u32>) -> Result<String, String> {
        Ok(String::new())
    }

    fn vocabulary_size(&self) -> u32 {
        0
    }
}
