//! Chats into prompts: a model's own Jinja2 template, rendered as transformers renders it, over
//! what a client sent, so that no text of the client's becomes a control token.
//!
//! [`ChatTemplate::open`] takes a template and the texts of its tokenizer's added tokens; it knows
//! no tokenizer and no model family. [`ChatTemplate::render`] gives pieces: control tokens, which
//! the template wrote, and text, in which nothing is one. `marks` has the argument why.
//!
//! # What a conversation is
//!
//! OpenAI's messages. Differences between its API and what templates expect:
//!
//! - A content is a string, null (an assistant's that calls tools) or text parts. Parts reach the
//!   template as a list if it goes through a content with `for`, else joined by line breaks (as
//!   vLLM does). Null reaches a template that asks `is none`; for others it is an empty text.
//! - `arguments` of a call are JSON text in OpenAI's API and an object in templates: text that
//!   holds an object is parsed. Where a template fails over that, it gets the text (DeepSeek's
//!   concatenates it).
//! - `tools: []` and `tool_calls: []` are the same as none.
//! - `documents` is none unless `chat_template_kwargs` has it; a model's special tokens have their
//!   names (`bos_token`), a missing one is undefined.
//! - `continue_final_message` cuts the text behind the last message's content.
//!
//! # What differs from Jinja2
//!
//! - `{% include %}`, `{% import %}`, `{% extends %}`, `{% block %}` and `{% do %}` are syntax
//!   errors: a template is one file that has nothing to include.
//! - Unknown are the filters `random` and `urlize`, the global `lipsum`, and the methods
//!   `casefold`, `encode`, `format_map`, `maketrans`, `translate` and `fromkeys`.
//! - `striptags` resolves entities by number and `amp`, `apos`, `gt`, `lt`, `nbsp`, `quot`; others
//!   stay as they are. `pprint` has the engine's layout.
//! - Macros have no `varargs` and `kwargs`.
//! - `%` is no operator for strings (the filter `format` is there). Integers have 128 bits.
//! - Lists and floats that `~` and `format` turn into text have the engine's spelling, which is
//!   Python's but for exponents (`1e+16`) and characters that are marked.
//! - A dictionary that the template itself builds with a client's text as a key finds it by any
//!   variable and by `get`, but not by a constant (`d['<s>']`, `d.name`), and has two entries for
//!   two keys that differ in marks alone. `loop.changed` sees marks, too: a client's text and a
//!   constant differ for it.
//! - `attr` of a mapping gives its item, where Jinja2 gives nothing.
//! - Indexing something that is undefined, `none | length` and the like may give nothing where
//!   Jinja2 raises, and messages of errors differ.

mod compare;
mod control_tokens;
mod dates;
mod engine;
mod error;
mod filters;
mod forgery;
mod format;
mod globals;
mod json;
mod lexer;
mod marks;
mod messages;
mod methods;
mod object;
mod python;
mod reasoning;
mod rewrite;
mod source;
mod text;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;

use control_tokens::ControlTokens;
use engine::Engine;
use json::Json;
use marks::{MarkedCharacters, Marks};
use messages::{Arguments, ContentRules, Parts, Reader, shortened};
use source::Source;

pub use engine::{MAX_FUEL, MAX_OUTPUT_BYTES};
pub use error::{ChatError, TemplateError};
pub use json::{MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES};
pub use reasoning::ReasoningTags;

/// The longest template that is read, in bytes: ten times the longest one seen.
pub const MAX_TEMPLATE_BYTES: usize = 500_000;

/// An added token of a model's tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedToken {
    /// Its text, `<|im_start|>`.
    pub text: String,
    /// Whether the tokenizer calls it special: a control token whatever the template writes.
    pub special: bool,
}

/// A part of a rendered chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatPiece {
    /// A control token, by its text.
    Control(String),
    /// Text, to be encoded without control tokens, whatever it looks like.
    Text(String),
}

/// A conversation to render. JSON comes as text, since it crosses the WIT as such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    /// OpenAI's `messages`: a JSON array.
    pub messages: String,
    /// OpenAI's `tools`: a JSON array.
    pub tools: Option<String>,
    /// `chat_template_kwargs`: a JSON object, whose keys become variables of the template.
    pub template_arguments: Option<String>,
    /// Whether the text ends with the beginning of an assistant's message.
    pub add_generation_prompt: bool,
    /// Whether the text ends inside of the last message, which the model continues.
    pub continue_final_message: bool,
    /// The date that a template may write: seconds since 1970, UTC.
    pub now: i64,
}

/// A model's chat template, with its control tokens.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    engine: Engine,
    control_tokens: ControlTokens,
    marked: MarkedCharacters,
    special_tokens: BTreeMap<String, String>,
    content: ContentRules,
    reasoning: Option<ReasoningTags>,
}

impl ChatTemplate {
    /// Reads a template. `special_tokens` are the texts that it may name, such as `bos_token`;
    /// `added_tokens` every added token of the tokenizer.
    ///
    /// Control tokens are the special added tokens, and the others whose text is in the template or
    /// is one of `special_tokens`. Runs of whitespace are none unless special.
    ///
    /// # Errors
    ///
    /// If it is no template, or if no choice of marks keeps a client from making a control token.
    pub fn open(
        source: &str,
        special_tokens: &BTreeMap<String, String>,
        added_tokens: &[AddedToken],
    ) -> Result<Self, TemplateError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong { bytes: source.len(), limit: MAX_TEMPLATE_BYTES });
        }
        let read = Source::read(source);
        let special: Vec<&str> = special_tokens.values().map(String::as_str).collect();
        let control_tokens = ControlTokens::choose(source, &special, added_tokens);
        let texts: Vec<&str> = control_tokens.texts().collect();
        let marked =
            MarkedCharacters::choose(&read, &special, &texts).map_err(|token| TemplateError::Forgeable { token })?;
        Ok(Self {
            engine: Engine::open(&read)?,
            marked,
            special_tokens: special_tokens.clone(),
            content: ContentRules { takes_parts: read.iterates_content(), takes_null: read.asks_for_null_content() },
            reasoning: ReasoningTags::find(source, added_tokens),
            control_tokens,
            source: source.to_owned(),
        })
    }

    /// Refuses a template that is at fault whatever the conversation, as far as the plainest one
    /// shows: one that uses what does not exist here, or never ends.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Unusable`]. A template may refuse that conversation in its own words.
    pub fn check(&self) -> Result<(), TemplateError> {
        let messages = r#"[{"role": "user", "content": "Hello"}]"#.to_owned();
        match self.render(&Chat { messages, add_generation_prompt: true, ..Chat::default() }) {
            Err(error @ (ChatError::Template { .. } | ChatError::TooMuch { .. })) => {
                Err(TemplateError::Unusable(error))
            }
            _ => Ok(()),
        }
    }

    /// The texts of the control tokens, longest first.
    pub fn control_tokens(&self) -> impl Iterator<Item = &str> {
        self.control_tokens.texts()
    }

    /// The tags around the model's reasoning, if the template or the tokenizer knows any.
    pub fn reasoning(&self) -> Option<&ReasoningTags> {
        self.reasoning.as_ref()
    }

    /// Renders a conversation. Joined, the pieces are what Jinja2 gives.
    ///
    /// # Errors
    ///
    /// If a field is not what it must be, if the template refuses or cannot render the
    /// conversation, or if that takes too much ([`MAX_FUEL`], [`MAX_OUTPUT_BYTES`]).
    pub fn render(&self, chat: &Chat) -> Result<Vec<ChatPiece>, ChatError> {
        if chat.add_generation_prompt && chat.continue_final_message {
            return Err(ChatError::field(
                "continue_final_message",
                "and `add_generation_prompt` exclude each other; set one of them",
            ));
        }
        let parts = Parts::read(&chat.messages, chat.tools.as_deref(), chat.template_arguments.as_deref())?;
        self.render_either(chat, &parts)
    }

    /// Refuses a conversation of which a part had no effect: tools without which the rendering is
    /// the same, and arguments that the template never looks at. transformers ignores both.
    ///
    /// # Errors
    ///
    /// [`ChatError::Field`], with the part that had none.
    pub fn check_effects(&self, chat: &Chat, rendered: &[ChatPiece]) -> Result<(), ChatError> {
        let mut parts = Parts::read(&chat.messages, chat.tools.as_deref(), chat.template_arguments.as_deref())?;
        self.check_arguments(&parts)?;
        if !parts.has_tools() {
            return Ok(());
        }
        parts.tools = None;
        match self.render_either(chat, &parts) {
            Ok(without) if without == rendered => Err(ChatError::field(
                "tools",
                "have no effect: the model's chat template does not show them to the model; leave them out, or use a model that takes tools",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses variables that the template never looks at: what a request asks for by them would
    /// not happen. Clients send `"enable_thinking": false` to whatever model: nothing is asked for
    /// by false, null and what is empty.
    fn check_arguments(&self, parts: &Parts) -> Result<(), ChatError> {
        let Some(Json::Object(entries)) = &parts.template_arguments else { return Ok(()) };
        match entries.iter().find(|(key, value)| !value.is_empty() && !self.engine.takes(key)) {
            Some((key, _)) => Err(ChatError::field(
                format!("chat_template_kwargs.{}", shortened(key)),
                "has no effect: the model's chat template has no such variable; take it out",
            )),
            None => Ok(()),
        }
    }

    fn render_either(&self, chat: &Chat, parts: &Parts) -> Result<Vec<ChatPiece>, ChatError> {
        let parsed = self.render_parts(chat, parts, Arguments::Parsed);
        // Only a template that cannot use the object gets another try with the text.
        let has_arguments = || chat.messages.contains("\"tool_calls\"");
        match parsed {
            Err(ChatError::Unrenderable { .. }) if has_arguments() => {
                self.render_parts(chat, parts, Arguments::Text).or(parsed)
            }
            _ => parsed,
        }
    }

    fn render_parts(&self, chat: &Chat, parts: &Parts, arguments: Arguments) -> Result<Vec<ChatPiece>, ChatError> {
        let marks = self.marked.marks_beside(&parts.all(), &self.source).ok_or_else(|| {
            ChatError::field(
                "messages",
                "use nearly every character of the private use planes, so that none is left to work with",
            )
        })?;
        let marks = Arc::new(marks);
        let reader = Reader {
            marks: &marks,
            content: self.content,
            arguments,
            continue_final_message: chat.continue_final_message,
        };
        let variables = self.variables(chat, parts, &reader)?;
        let mut text = self.engine.render(variables, &marks, chat.now)?;
        if chat.continue_final_message {
            cut_behind_final_message(&mut text, &marks)?;
        }
        Ok(self.control_tokens.cut(&text, |text| marks.plain_text(text)))
    }

    fn variables(&self, chat: &Chat, parts: &Parts, reader: &Reader<'_>) -> Result<Value, ChatError> {
        let own = ["messages", "tools", "add_generation_prompt", "continue_final_message"];
        let reserved: Vec<&str> = own.into_iter().chain(self.special_tokens.keys().map(String::as_str)).collect();
        let tools = parts.tools.as_ref().map(|tools| reader.tools(tools)).transpose()?.flatten();
        let mut variables: BTreeMap<String, Value> =
            self.special_tokens.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
        variables.insert("messages".to_owned(), Value::from(reader.messages(&parts.messages)?));
        variables.insert("tools".to_owned(), tools.unwrap_or_else(|| Value::from(())));
        variables.insert("documents".to_owned(), Value::from(()));
        variables.insert("add_generation_prompt".to_owned(), Value::from(chat.add_generation_prompt));
        if let Some(arguments) = &parts.template_arguments {
            variables.extend(reader.template_arguments(arguments, &reserved)?);
        }
        Ok(Value::from(variables))
    }
}

/// Cuts the text where the last message's content ends, as transformers does: behind that content
/// is the sentinel and a blank. If the template took the blank away, it trims contents, and what
/// the text ends with is trimmed too.
fn cut_behind_final_message(rendered: &mut String, marks: &Marks) -> Result<(), ChatError> {
    let Some(at) = rendered.rfind(marks.sentinel()) else {
        let reason = "cannot be followed: the model's chat template leaves the last message's content out";
        return Err(ChatError::field("continue_final_message", reason));
    };
    let is_trimmed = !rendered[at + marks.sentinel().len_utf8()..].starts_with(' ');
    rendered.truncate(at);
    if is_trimmed {
        rendered.truncate(rendered.trim_end_matches(|c| text::is_space(marks.plain(c))).len());
    }
    // A template that writes the content twice leaves an earlier sentinel.
    rendered.retain(|c| c != marks.sentinel());
    Ok(())
}
