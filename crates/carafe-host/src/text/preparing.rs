//! The thread that prepares requests: it checks them and turns their prompts into tokens, in a
//! guest of its own.
//!
//! A prompt of half a megabyte takes its tokenizer a while. On the thread that steps the batch it
//! would hold up every request that decodes; here it holds up only those that come after it.
//! Whatever goes wrong here, a trap and a time limit included, is one request's own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::oneshot;

use super::instance::{PreparerInstance, TextTemplate};
use super::worker::{Command, NewSequence};
use super::{Chat, Prompt, Request, RequestError, StatsCell};
use crate::Error;
use crate::guest::Guest;
use crate::tokenizer::Token;

/// What a handle asks of the preparing thread.
pub(super) enum Task {
    /// Prepare a request, and pass it on.
    Submit(Submission),
    /// Tell what the chat template makes of a conversation.
    Render(Chat, Answer<String>),
    /// Tell the tokens of a prompt.
    Tokenize(Prompt, Answer<Vec<Token>>),
    /// Tell the text of tokens.
    Detokenize(Vec<u32>, Answer<String>),
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Sequences that share a request and differ in their seeds alone; the request's own seed is not
/// used.
pub(super) struct Submission {
    pub(super) request: Arc<Request>,
    pub(super) sequences: Vec<NewSequence>,
}

/// What the preparing thread works with.
pub(super) struct Preparing {
    guest: Guest<PreparerInstance>,
    tasks: Receiver<Task>,
    commands: Sender<Command>,
    stats: StatsCell,
}

impl Preparing {
    /// Opens the guest.
    pub(super) fn new(
        template: Arc<TextTemplate>,
        tasks: Receiver<Task>,
        commands: Sender<Command>,
        stats: StatsCell,
    ) -> Result<Self, Error> {
        let preparing = Self { guest: Guest::open(template)?, tasks, commands, stats };
        preparing.note_guest();
        Ok(preparing)
    }

    /// Does what comes, in order, until the handle is dropped.
    pub(super) fn run(mut self) {
        while let Ok(task) = self.tasks.recv() {
            match task {
                Task::Submit(submission) => self.submit(submission),
                Task::Render(chat, answer) => self.answer(answer, |guest| guest.render(&chat)),
                Task::Tokenize(prompt, answer) => self.answer(answer, |guest| guest.tokenize(&prompt)),
                Task::Detokenize(tokens, answer) => self.answer(answer, |guest| guest.detokenize(&tokens)),
            }
        }
    }

    fn submit(&mut self, Submission { request, mut sequences }: Submission) {
        // A client that does not wait any more has dropped its generation's handle.
        sequences.retain(|sequence| !sequence.answer.is_closed());
        if sequences.is_empty() {
            return;
        }
        let prepared = self.prepare(request);
        self.note_guest();
        match prepared {
            // A worker that is gone drops the answers, and with them ends the wait.
            Ok(request) => drop(self.commands.send(Command::Submit { request: Arc::new(request), sequences })),
            Err(error) => refuse(sequences, &error),
        }
    }

    /// The request with tokens for its prompt.
    fn prepare(&mut self, request: Arc<Request>) -> Result<Request, Error> {
        let prepared = self.guest.call(|guest| guest.prepare(&request))?.map_err(Error::Request)?;
        let mut request = Arc::unwrap_or_clone(request);
        request.prompt = Prompt::Tokens(prepared.tokens);
        request.reasoning = prepared.reasoning;
        Ok(request)
    }

    /// Answers by a call of the guest, unless nobody waits for it any more.
    fn answer<T>(
        &mut self,
        answer: Answer<T>,
        call: impl FnOnce(&mut PreparerInstance) -> Result<Result<T, RequestError>, Error>,
    ) {
        if answer.is_closed() {
            return;
        }
        let answered = self.guest.call(call).and_then(|answer| answer.map_err(Error::Request));
        self.note_guest();
        // A receiver that is gone does not want to know.
        let _ = answer.send(answered);
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
