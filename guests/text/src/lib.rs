//! The text guest: `carafe-core`'s tokenizer and generator behind `wit/text.wit`, and its model
//! over wasi:nn.
//!
//! Glue only: [`convert`] maps the words of the WIT to those of the core and back, [`runner`] turns
//! a step into tensors. The guest reaches nothing but wasi:nn: no files, no clock, no randomness.

use std::cell::RefCell;

use bindings::exports::carafe::guests::{generation, tokenization};
use carafe_core::text;
use carafe_core::tokenizer::EncodeOptions;

mod bindings;
mod convert;
mod entropy;
mod runner;

/// The guest that `bindings` exports.
pub(crate) struct Text;

impl tokenization::Guest for Text {
    type Tokenizer = Tokenizer;
}

/// A tokenizer that the host has opened.
struct Tokenizer(carafe_core::tokenizer::Tokenizer);

impl tokenization::GuestTokenizer for Tokenizer {
    fn open(form: Vec<u8>) -> Result<tokenization::Tokenizer, String> {
        let tokenizer = open_tokenizer(form)?;
        Ok(tokenization::Tokenizer::new(Self(tokenizer)))
    }

    fn encode(&self, text: String, options: tokenization::EncodeOptions) -> Result<Vec<tokenization::Token>, String> {
        let tokenization::EncodeOptions { add_special_tokens, parse_special } = options;
        let options = EncodeOptions { add_special_tokens, parse_special };
        let ids = self.0.encode(&text, options).map_err(|error| text::error_chain(&error))?;
        Ok(tokens(ids, &self.0))
    }

    fn decode(&self, tokens: Vec<u32>) -> Result<String, String> {
        self.0.decode(&tokens).map_err(|error| text::error_chain(&error))
    }

    fn vocabulary_size(&self) -> u32 {
        self.0.vocabulary_size()
    }
}

impl generation::Guest for Text {
    type Generator = Generator;
    type Preparer = Preparer;
}

/// Token ids with the bytes that they stand for.
fn tokens(ids: Vec<u32>, tokenizer: &carafe_core::tokenizer::Tokenizer) -> Vec<tokenization::Token> {
    let bytes = |id| tokenizer.token_bytes(id).unwrap_or_default();
    ids.into_iter().map(|id| tokenization::Token { id, bytes: bytes(id) }).collect()
}

/// What makes tokens of prompts before requests are submitted.
struct Preparer(text::Preparer);

impl generation::GuestPreparer for Preparer {
    fn open(
        model: generation::Model,
        tokenizer: Vec<u8>,
        template: Option<generation::ChatTemplate>,
    ) -> Result<generation::Preparer, String> {
        let tokenizer = open_tokenizer(tokenizer)?;
        let conversations = template.map(|template| open_conversations(template, &tokenizer)).transpose()?;
        let preparer = text::Preparer::new(convert::model(model), tokenizer, conversations);
        preparer.map(|preparer| generation::Preparer::new(Self(preparer))).map_err(|error| text::error_chain(&error))
    }

    fn prepare(&self, request: generation::Request) -> Result<generation::PreparedPrompt, generation::RequestError> {
        let prepared = self.0.prepare(convert::request(request));
        prepared.map(convert::prepared_prompt).map_err(|error| convert::request_error(&error))
    }

    fn render(&self, chat: generation::Chat) -> Result<String, generation::RequestError> {
        self.0.render(&convert::chat(chat)).map_err(|error| convert::request_error(&error))
    }

    fn tokenize(&self, prompt: generation::Prompt) -> Result<Vec<tokenization::Token>, generation::RequestError> {
        let ids = self.0.tokenize(convert::prompt(prompt)).map_err(|error| convert::request_error(&error))?;
        Ok(tokens(ids, self.0.tokenizer()))
    }

    fn detokenize(&self, tokens: Vec<u32>) -> Result<String, generation::RequestError> {
        self.0.detokenize(&tokens).map_err(|error| convert::request_error(&error))
    }
}

fn open_conversations(
    template: generation::ChatTemplate,
    tokenizer: &carafe_core::tokenizer::Tokenizer,
) -> Result<text::Conversations, String> {
    let special_tokens = template.special_tokens.into_iter().collect();
    let conversations = text::Conversations::open(&template.source, &special_tokens, tokenizer);
    conversations.map_err(|error| text::error_chain(&error))
}

/// Opens a tokenizer; its compact form is freed.
fn open_tokenizer(form: Vec<u8>) -> Result<carafe_core::tokenizer::Tokenizer, String> {
    carafe_core::tokenizer::Tokenizer::open(&form).map_err(|error| text::error_chain(&error))
}

/// A text model that the host has opened.
struct Generator(RefCell<text::Generator<runner::WasiNn>>);

impl generation::GuestGenerator for Generator {
    fn open(model: generation::Model, tokenizer: Vec<u8>) -> Result<generation::Generator, String> {
        let runner = runner::WasiNn::open(&model).map_err(|error| text::error_chain(&error))?;
        let tokenizer = open_tokenizer(tokenizer)?;
        let generator = text::Generator::new(runner, tokenizer, convert::model(model))
            .map_err(|error| text::error_chain(&error))?;
        Ok(generation::Generator::new(Self(RefCell::new(generator))))
    }

    fn submit(&self, request: generation::Request) -> Result<u64, generation::RequestError> {
        self.0.borrow_mut().submit(convert::request(request)).map_err(|error| convert::request_error(&error))
    }

    fn step(&self) -> Vec<generation::Event> {
        let mut generator = self.0.borrow_mut();
        let events = generator.step();
        events.into_iter().map(|event| convert::event(event, generator.tokenizer())).collect()
    }

    fn cancel(&self, request: u64) -> bool {
        self.0.borrow_mut().cancel(request)
    }

    fn stats(&self) -> generation::Stats {
        convert::stats(self.0.borrow().stats())
    }
}
