//! Carafe over HTTP: OpenAI's chat and completions APIs, image classification, metrics and the web
//! page.
//!
//! Modules use only those below them; from the top:
//!
//! - `run`: the listener and its end; `app`: the routes; `layers`: what stands before the handlers
//!   (the record of each request, its head, host names, origins, keys)
//! - `completions`, `chat`, `tokenize`, `classify`, `infer`, `catalogue`, `health`, `page`: the
//!   routes' handlers, which `openapi` describes; `openai` is what the first three share
//! - `service`: generation and classification, in no protocol's words
//! - `extract`: how a request is read; `record`: what is logged and counted of it
//! - [`Server`]: made from a [`Configuration`], given its [`Models`] when they are loaded, in a
//!   `phase` of its life
//! - `body`, `admission`, `deadline`: bodies within their limits, how many requests are taken, and
//!   how long each may take; `tenant`: who asks, and how much each may
//! - `metrics`, `card`: the figures, and what there is to say of a model
//! - `host`, `origin`, `keys`: what a configuration says of them, without requests
//! - `error`, `quote`: how a refusal says what is wrong with a request
//!
//! Limits that are not options: a JSON body of 4 MiB, an image of 20 MiB, 4 KiB/s of a body at
//! least, 1 MiB of a stream that its client has not read, 1024 connections, about 128 KiB and 30 s
//! for the head of a request, 1024 prompts, 4096 fields of an object.
//!
//! Nothing is computed here: tokens and pixels are the guests' business, behind `carafe-host`. This
//! crate knows no files but what it embeds, and no environment.

mod admission;
mod app;
mod body;
mod card;
mod catalogue;
mod chat;
mod classify;
mod completions;
mod configuration;
mod deadline;
mod error;
mod extract;
mod health;
mod holding;
mod host;
mod infer;
mod keys;
mod known_fields;
mod layers;
mod media_type;
mod metrics;
mod models;
mod openai;
mod openapi;
mod origin;
mod page;
mod phase;
mod quote;
mod random;
mod record;
mod run;
mod server;
mod service;
mod suggestion;
mod tenant;
mod tokenize;

pub use configuration::Configuration;
pub use host::{HostName, HostNameError};
pub use keys::{ApiKeys, KeyError, KeyLimits};
pub use models::Models;
pub use origin::{Origin, OriginError};
pub use server::Server;

/// What `/openapi.json` answers, for people to read as well.
#[must_use]
pub fn openapi_document() -> String {
    let json = serde_json::to_string_pretty(&app::document()).unwrap_or_default();
    format!("{json}\n")
}
