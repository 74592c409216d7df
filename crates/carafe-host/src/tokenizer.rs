//! A tokenizer in the sandbox, without a model: text to token ids and back.

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::text::Text;
pub use crate::bindings::text::exports::carafe::guests::tokenization::Token;
use crate::guest::{GuestConfig, trap};
use crate::nn::linker;
use crate::store::{Graphs, State, start_call};
use crate::{Error, Limits, Sandbox};

/// A tokenizer that runs in a guest of its own, which may name no graph.
pub struct Tokenizer {
    store: Store<State>,
    guest: Text,
    tokenizer: ResourceAny,
}

impl Tokenizer {
    /// Opens a Hugging Face `tokenizer.json`; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Open`] with the guest's refusal, [`Error::Trap`].
    pub fn open(sandbox: &Sandbox, name: &str, file: &[u8], limits: Limits) -> Result<Self, Error> {
        let config = GuestConfig { sandbox: sandbox.clone(), graphs: Graphs::default(), limits };
        let mut store = config.new_store();
        let linker = linker(sandbox.engine())?;
        let guest = Text::instantiate(&mut store, &sandbox.text_guest()?, &linker);
        let guest = guest.map_err(|error| trap(&store, &error))?;
        start_call(&mut store);
        let opened = guest.carafe_guests_tokenization().tokenizer().call_open(&mut store, file);
        let tokenizer = opened
            .map_err(|error| trap(&store, &error))?
            .map_err(|message| Error::Open { model: name.to_owned(), message })?;
        Ok(Self { store, guest, tokenizer })
    }

    /// Cuts a text into tokens.
    ///
    /// # Errors
    /// [`Error::Tokenization`] with the guest's words, [`Error::Trap`], after which the tokenizer
    /// must be opened again.
    pub fn encode(&mut self, text: &str) -> Result<Vec<Token>, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_tokenization();
        let tokens = interface.tokenizer().call_encode(&mut self.store, self.tokenizer, text);
        tokens.map_err(|error| trap(&self.store, &error))?.map_err(Error::Tokenization)
    }

    /// Joins tokens to a text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn decode(&mut self, tokens: &[u32]) -> Result<String, Error> {
        start_call(&mut self.store);
        let interface = self.guest.carafe_guests_tokenization();
        let text = interface.tokenizer().call_decode(&mut self.store, self.tokenizer, tokens);
        text.map_err(|error| trap(&self.store, &error))?.map_err(Error::Tokenization)
    }
}
