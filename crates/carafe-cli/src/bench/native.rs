//! Several requests at once without WebAssembly: one generator, stepped until it is idle.

use std::time::Instant;

use anyhow::{Result, bail};
use carafe_core::text::{EventKind, Generator};
use carafe_host::LoadedGraph;
use carafe_host::text::{Request, TextOptions};

use super::timing::RequestTimes;
use crate::source::{Native, OpenVino, core_request};

/// A generator that stays from run to run.
pub(super) struct NativeModel(Generator<OpenVino>);

impl NativeModel {
    /// Opens a generator.
    pub(super) fn open(model: &LoadedGraph, options: TextOptions) -> Result<Self> {
        Ok(Self(Native::generator(model, options)?))
    }

    /// Runs requests to their ends; when the tokens of each came.
    pub(super) fn run(&mut self, requests: Vec<Request>) -> Result<Vec<RequestTimes>> {
        let began = Instant::now();
        let ids = requests.into_iter().map(|request| self.0.submit(core_request(request)));
        let ids = ids.collect::<Result<Vec<u64>, _>>()?;
        let mut times = vec![RequestTimes::default(); ids.len()];
        while !self.0.is_idle() {
            for event in self.0.step() {
                let Some(index) = ids.iter().position(|id| *id == event.request) else { continue };
                match event.kind {
                    EventKind::Started { prompt_tokens, .. } => times[index].prompt_tokens = prompt_tokens,
                    EventKind::Token { .. } => times[index].note(began),
                    EventKind::Failed { message, .. } => bail!("a request failed: {message}"),
                    EventKind::Prompt { .. } | EventKind::Finished { .. } => {}
                }
            }
        }
        Ok(times)
    }
}
