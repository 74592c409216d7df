//! A tokenizer in the sandbox, without a model: text to token ids and back.

use std::sync::Arc;
use std::time::Duration;

use carafe_tensor::error_chain;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::text::Text;
use crate::bindings::text::exports::carafe::guests::tokenization::GuestTokenizer;
pub use crate::bindings::text::exports::carafe::guests::tokenization::{EncodeOptions, Token};
use crate::guest::{Guest, GuestConfig, Instance, trap};
use crate::store::{Graphs, State, start_call};
use crate::text_guest::TextGuest;
use crate::{Error, Limits, Sandbox};

/// The compact form of a Hugging Face `tokenizer.json`, which guests open; `name` stands for it in
/// errors. Tokenizers come with models, so the host reads them itself, once for all guests.
///
/// # Errors
/// [`Error::Open`] if it cannot be used.
pub fn compact_form(name: &str, json: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |error| Error::Open { model: name.to_owned(), message: error_chain(&error) };
    carafe_core::tokenizer::compact_form(json).map_err(refused)
}

/// A tokenizer that runs in a guest of its own, which may name no graph.
pub struct Tokenizer {
    guest: Guest<TokenizerInstance>,
}

impl Tokenizer {
    /// Opens the [`compact_form`] of a tokenizer; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Open`] with the guest's refusal, [`Error::Trap`].
    pub fn open(sandbox: &Sandbox, name: &str, form: Vec<u8>, limits: Limits) -> Result<Self, Error> {
        let config = GuestConfig { sandbox: sandbox.clone(), graphs: Graphs::default(), limits };
        let guest = TextGuest::link(&sandbox.text_guest()?, config)?;
        let template = TokenizerTemplate { guest, name: name.to_owned(), form };
        Ok(Self { guest: Guest::open(Arc::new(template))? })
    }

    /// The most memory that the guest has had, in bytes.
    #[must_use]
    pub fn guest_memory(&self) -> u64 {
        self.guest.memory()
    }

    /// How long the guest took to open.
    #[must_use]
    pub fn opening(&self) -> Duration {
        self.guest.opening()
    }

    /// Cuts a text into tokens; `options` says what to make of special ones.
    ///
    /// # Errors
    /// [`Error::Tokenization`] with the guest's words, [`Error::Trap`].
    pub fn encode(&mut self, text: &str, options: EncodeOptions) -> Result<Vec<Token>, Error> {
        self.guest.call(|instance| {
            instance.call(|guest, store, tokenizer| guest.call_encode(store, tokenizer, text, options))
        })
    }

    /// Joins tokens to a text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn decode(&mut self, tokens: &[u32]) -> Result<String, Error> {
        self.guest.call(|instance| instance.call(|guest, store, tokenizer| guest.call_decode(store, tokenizer, tokens)))
    }
}

/// What an instance is made from, as often as one is needed.
struct TokenizerTemplate {
    guest: TextGuest,
    name: String,
    form: Vec<u8>,
}

/// A running guest with its tokenizer.
struct TokenizerInstance {
    store: Store<State>,
    guest: Text,
    tokenizer: ResourceAny,
}

impl Instance for TokenizerInstance {
    type Template = TokenizerTemplate;

    const KIND: &str = "tokenizer";

    fn open(template: &TokenizerTemplate) -> Result<Self, Error> {
        let (mut store, guest) = template.guest.instantiate()?;
        let opened = guest.carafe_guests_tokenization().tokenizer().call_open(&mut store, &template.form);
        let tokenizer = opened
            .map_err(|error| trap(&store, &error))?
            .map_err(|message| Error::Open { model: template.name.clone(), message })?;
        Ok(Self { store, guest, tokenizer })
    }

    fn memory(&self) -> u64 {
        self.store.data().memory.high_water()
    }
}

impl TokenizerInstance {
    /// One call of the tokenizer.
    fn call<T>(
        &mut self,
        call: impl FnOnce(GuestTokenizer<'_>, &mut Store<State>, ResourceAny) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, Error> {
        start_call(&mut self.store);
        let guest = self.guest.carafe_guests_tokenization().tokenizer();
        let answer = call(guest, &mut self.store, self.tokenizer);
        answer.map_err(|error| trap(&self.store, &error))?.map_err(Error::Tokenization)
    }
}
