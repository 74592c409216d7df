//! Carafe over HTTP: OpenAI's completions API, image classification, metrics and the web page.
//!
//! - [`Server`]: made from a [`Configuration`], given its [`Models`] when they are loaded, run on a listener
//! - `app`: the routes and what stands before them (host names, origins, keys, the record of each
//!   request)
//! - `completions`, `classify`, `infer`, `catalogue`, `health`: the routes' handlers
//! - `head`, `body`: what of a request's head is honoured or refused; the reading of bodies
//! - `admission`, `deadline`: how many requests are taken, and how long each may take
//! - `extract`, `quote`, `error`: how a request is read, and how a refusal says what is wrong with
//!   it
//! - `record`, `metrics`: what is told of a request afterwards
//!
//! Limits that are not options: a JSON body of 4 MiB, an image of 20 MiB, 4 KiB/s of a body at
//! least, 1 MiB of a stream that its client has not read, 1024 connections, about 128 KiB and 30 s
//! for the head of a request, 1024 prompts, 4096 fields of an object.
//!
//! Nothing is computed here: tokens and pixels are the guests' business, behind `carafe-host`. This crate knows no files but what it
//! embeds, and no environment.

mod admission;
mod app;
mod body;
mod catalogue;
mod classify;
mod completions;
mod configuration;
mod deadline;
mod error;
mod extract;
mod head;
mod health;
mod holding;
mod host;
mod infer;
mod keys;
mod metrics;
mod models;
mod openapi;
mod origin;
mod page;
mod quote;
mod random;
mod record;
mod run;
mod server;
mod suggestion;

pub use configuration::Configuration;
pub use host::{HostName, HostNameError};
pub use keys::{ApiKeys, KeyError};
pub use models::Models;
pub use origin::{Origin, OriginError};
pub use server::Server;
