//! The thread that prepares requests: it checks them and turns their prompts into tokens, in a
//! guest of its own.
//!
//! A prompt of half a megabyte takes its tokenizer a while. On the thread that steps the batch it
//! would hold up every request that decodes; here it holds up only those that come after it.
//! Whatever goes wrong here, a trap and a time limit included, is one request's own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::instance::{PreparerInstance, TextTemplate};
use super::worker::{Command, NewSequence};
use super::{Prompt, Request, StatsCell};
use crate::Error;
use crate::guest::Guest;

/// Sequences that share a request and differ in their seeds alone; the request's own seed is not
/// used.
pub(super) struct Submission {
    pub(super) request: Arc<Request>,
    pub(super) sequences: Vec<NewSequence>,
}

/// What the preparing thread works with.
pub(super) struct Preparing {
    guest: Guest<PreparerInstance>,
    submissions: Receiver<Submission>,
    commands: Sender<Command>,
    stats: StatsCell,
}

impl Preparing {
    /// Opens the guest.
    pub(super) fn new(
        template: Arc<TextTemplate>,
        submissions: Receiver<Submission>,
        commands: Sender<Command>,
        stats: StatsCell,
    ) -> Result<Self, Error> {
        let preparing = Self { guest: Guest::open(template)?, submissions, commands, stats };
        preparing.note_guest();
        Ok(preparing)
    }

    /// Prepares what comes, in order, until the handle is dropped.
    pub(super) fn run(mut self) {
        while let Ok(Submission { request, mut sequences }) = self.submissions.recv() {
            // Whoever does not wait any more has dropped the generation's handle.
            sequences.retain(|sequence| !sequence.answer.is_closed());
            if sequences.is_empty() {
                continue;
            }
            let prepared = self.prepare(request);
            self.note_guest();
            match prepared {
                // A worker that is gone drops the answers, and with them ends the wait.
                Ok(request) => drop(self.commands.send(Command::Submit { request: Arc::new(request), sequences })),
                Err(error) => refuse(sequences, &error),
            }
        }
    }

    /// The request with tokens for its prompt.
    fn prepare(&mut self, request: Arc<Request>) -> Result<Request, Error> {
        let tokens = self.guest.call(|guest| guest.prepare(&request))?.map_err(Error::Request)?;
        let mut request = Arc::unwrap_or_clone(request);
        request.prompt = Prompt::Tokens(tokens);
        Ok(request)
    }

    fn note_guest(&self) {
        let (memory, replaced) = (self.guest.memory(), self.guest.replaced());
        self.stats.update(|stats| (stats.preparer_memory, stats.preparers_replaced) = (memory, replaced));
    }
}

/// Tells every sequence of a request why it was not prepared.
fn refuse(sequences: Vec<NewSequence>, error: &Error) {
    for sequence in sequences {
        let error = match error {
            Error::Request(refusal) => Error::Request(refusal.clone()),
            Error::Trap(words) => Error::Trap(words.clone()),
            _ => Error::Stopped,
        };
        // A receiver that is gone does not want to know.
        let _ = sequence.answer.send(Err(error));
    }
}
