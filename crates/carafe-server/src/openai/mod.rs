//! What OpenAI's two protocols for text have in common; `completions` and `chat` are what each has
//! of its own.
//!
//! - `fields`: the one table of fields without effect; `reading`: how a body is read by it
//! - `body`: the fields that both have; `options`: their values of more than one form
//! - `head`: the parts of an answer that both have
//! - `stream`: an answer as server-sent events (`backlog`: what waits for its client)

mod backlog;
pub(crate) mod body;
mod fields;
mod head;
pub(crate) mod options;
mod reading;
pub(crate) mod stream;

pub(crate) use fields::{Api, field_names};
pub(crate) use head::{Head, Usage};
pub(crate) use reading::{Body, Checked};
