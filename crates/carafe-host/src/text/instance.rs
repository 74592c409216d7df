//! One instance of the text guest with a generator: its calls, each timed and bounded.

use std::mem::replace;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{Component, ResourceAny};

use super::{Chat, ChatTemplate, Event, Model, Prompt, Request, RequestError, Stats};
use crate::Error;
use crate::bindings::text::Text;
use crate::bindings::text::exports::carafe::guests::generation::{GuestPreparer, PreparedPrompt};
use crate::guest::{GuestConfig, Instance, trap};
use crate::store::{State, start_call};
use crate::text_guest::TextGuest;
use crate::tokenizer::Token;

/// What instances of the text guest are made from.
pub(super) struct TextTemplate {
    guest: TextGuest,
    model: Model,
    tokenizer: Vec<u8>,
    chat_template: Option<ChatTemplate>,
}

impl TextTemplate {
    pub(super) fn new(
        component: &Component,
        config: GuestConfig,
        model: Model,
        tokenizer: Vec<u8>,
        chat_template: Option<ChatTemplate>,
    ) -> Result<Self, Error> {
        Ok(Self { guest: TextGuest::link(component, config)?, model, tokenizer, chat_template })
    }

    fn refused(&self, message: String) -> Error {
        Error::Open { model: self.model.graph.clone(), message }
    }
}

/// A running guest with its generator.
pub(super) struct GeneratorInstance {
    store: Store<State>,
    guest: Text,
    generator: ResourceAny,
    /// What the generator had counted after the latest step.
    counted: Stats,
}

impl Instance for GeneratorInstance {
    type Template = TextTemplate;

    const KIND: &str = "generator";

    fn open(template: &TextTemplate) -> Result<Self, Error> {
        let (mut store, guest) = template.guest.instantiate()?;
        let interface = guest.carafe_guests_generation().generator();
        let opened = interface.call_open(&mut store, &template.model, &template.tokenizer);
        let opened = opened.map_err(|error| trap(&store, &error))?;
        let generator = opened.map_err(|message| template.refused(message))?;
        let counted = interface.call_stats(&mut store, generator).map_err(|error| trap(&store, &error))?;
        Ok(Self { store, guest, generator, counted })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

impl GeneratorInstance {
    /// The outer error is a trap, the inner one the guest's refusal.
    pub(super) fn submit(&mut self, request: &Request) -> Result<Result<u64, RequestError>, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.generator().call_submit(&mut self.store, self.generator, request);
        answer.map_err(|error| trap(&self.store, &error))
    }

    /// Events of one step, and what it took and achieved.
    pub(super) fn step(&mut self) -> Result<(Vec<Event>, StepReport), Error> {
        start_call(&mut self.store);
        let clock = &self.store.data().clock;
        let (native, host, inference) = (clock.total_native(), clock.total_host(), clock.total_inference());
        let started = Instant::now();
        let interface = self.guest.carafe_guests_generation();
        let events = interface.generator().call_step(&mut self.store, self.generator);
        let events = events.map_err(|error| trap(&self.store, &error))?;
        let (all, clock) = (started.elapsed(), &self.store.data().clock);
        let model = clock.total_native() - native;
        let (host, inference) = (clock.total_host() - host, clock.total_inference() - inference);
        let now = interface.generator().call_stats(&mut self.store, self.generator);
        let now = now.map_err(|error| trap(&self.store, &error))?;
        let before = replace(&mut self.counted, now);
        Ok((events, StepReport { all, model, host, inference, before, now }))
    }

    /// Ends a request; how the generator stands then.
    pub(super) fn cancel(&mut self, request: u64) -> Result<Stats, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_generation();
        let answer = interface.generator().call_cancel(&mut self.store, self.generator, request);
        answer.map_err(|error| trap(&self.store, &error))?;
        let now = interface.generator().call_stats(&mut self.store, self.generator);
        now.map_err(|error| trap(&self.store, &error))
    }
}

/// A running guest with its preparer.
pub(super) struct PreparerInstance {
    store: Store<State>,
    guest: Text,
    preparer: ResourceAny,
}

impl Instance for PreparerInstance {
    type Template = TextTemplate;

    const KIND: &str = "preparer";

    fn open(template: &TextTemplate) -> Result<Self, Error> {
        let (mut store, guest) = template.guest.instantiate()?;
        let interface = guest.carafe_guests_generation().preparer();
        let TextTemplate { model, tokenizer, chat_template, .. } = template;
        let opened = interface.call_open(&mut store, model, tokenizer, chat_template.as_ref());
        let opened = opened.map_err(|error| trap(&store, &error))?;
        let preparer = opened.map_err(|message| template.refused(message))?;
        Ok(Self { store, guest, preparer })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

/// The outer error is a trap, the inner one the guest's refusal.
type Answer<T> = Result<Result<T, RequestError>, Error>;

impl PreparerInstance {
    /// A request's prompt as tokens.
    pub(super) fn prepare(&mut self, request: &Request) -> Answer<PreparedPrompt> {
        self.call(|guest, store, preparer| guest.call_prepare(store, preparer, request))
    }

    /// The text of a conversation.
    pub(super) fn render(&mut self, chat: &Chat) -> Answer<String> {
        self.call(|guest, store, preparer| guest.call_render(store, preparer, chat))
    }

    /// The tokens of a prompt.
    pub(super) fn tokenize(&mut self, prompt: &Prompt) -> Answer<Vec<Token>> {
        self.call(|guest, store, preparer| guest.call_tokenize(store, preparer, prompt))
    }

    /// The text of tokens.
    pub(super) fn detokenize(&mut self, tokens: &[u32]) -> Answer<String> {
        self.call(|guest, store, preparer| guest.call_detokenize(store, preparer, tokens))
    }

    /// One call of the preparer.
    fn call<T>(
        &mut self,
        call: impl FnOnce(GuestPreparer<'_>, &mut Store<State>, ResourceAny) -> wasmtime::Result<Result<T, RequestError>>,
    ) -> Answer<T> {
        start_call(&mut self.store);
        let guest = self.guest.carafe_guests_generation().preparer();
        let answer = call(guest, &mut self.store, self.preparer);
        answer.map_err(|error| trap(&self.store, &error))
    }
}

/// What a step took and achieved.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepReport {
    /// Its time.
    pub(super) all: Duration,
    /// The part of it that OpenVINO took.
    pub(super) model: Duration,
    /// In computes as wasi:nn sees them: tensors taken and kept as well.
    pub(super) host: Duration,
    /// In OpenVINO alone.
    pub(super) inference: Duration,
    /// The guest's counters before the step, and after it.
    pub(super) before: Stats,
    pub(super) now: Stats,
}
