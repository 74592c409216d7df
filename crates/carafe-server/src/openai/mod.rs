//! What OpenAI's two protocols for text have in common; `completions` and `chat` are what each has
//! of its own.
//!
//! - `fields`: the one table of fields without effect; `reading`: how a body is read by it
//! - `body`: the fields that both have; `options`: their values of more than one form
//! - `conversation`: a conversation as a body has it, and what is made of it (`json_text`: JSON
//!   that goes on as it came)
//! - `head`: the parts of an answer that both have; `token`: how a token is spelled
//! - `stream`: an answer as server-sent events (`backlog`: what waits for its client)

mod backlog;
pub(crate) mod body;
pub(crate) mod conversation;
mod fields;
mod head;
pub(crate) mod json_text;
pub(crate) mod options;
mod reading;
pub(crate) mod stream;
mod token;

pub(crate) use fields::{Api, field_names};
pub(crate) use head::{Head, Usage};
pub(crate) use reading::{Body, Checked};
pub(crate) use token::token_text;
