//! An answer token by token: server-sent events as OpenAI's clients expect them.
//!
//! A task of its own runs the sequences and holds their places, and hands chunks to the connection
//! through a backlog. A client that leaves closes the backlog, which ends the task at once; one
//! that does not read fills it, and then the sequences are cancelled. Either way the places are
//! free again, whatever becomes of the connection.
//!
//! Every chunk has one choice, since the plainest loop of a client reads `chunk.choices[0]`. Only
//! the chunk that brings `usage`, for those who ask for it, has none, as in OpenAI's API. What
//! Carafe tells of a run comes with the last choice to finish.

use std::time::Duration;

use axum::http::{HeaderName, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use carafe_host::text::EventKind;
use serde::Serialize;

use super::backlog::{self, MAX_UNDELIVERED, MAX_WAIT, Unsent, backlog};
use super::choice::Pieces;
use super::plan::Plan;
use super::response::{CompletionResponse, Head, RunReport};
use super::sequences::Sequences;
use crate::error::{ApiError, ErrorBody};
use crate::record::Record;

/// How often a comment is sent where there is nothing else to say, so that proxies do not think the
/// connection dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// What ends every stream of OpenAI's API.
const DONE: &str = "[DONE]";

/// Starts the task, and answers with what it sends.
pub(crate) fn respond(sequences: Sequences, plan: &Plan, head: Head, record: Record) -> Response {
    let (sender, events) = backlog(MAX_WAIT);
    let pieces = plan.seeds.iter().map(|_| Pieces::new(plan.logprobs)).collect();
    let writer = Writer { sender, head, pieces, include_usage: plan.include_usage, record };
    tokio::spawn(writer.run(sequences));
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL).text("ping"));
    // nginx buffers answers unless this header forbids it.
    ([(header::CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-accel-buffering"), "no")], sse).into_response()
}

/// Why nothing more is sent.
enum Stopped {
    /// The client has left.
    ClientLeft,
    /// The request failed.
    Failed(ApiError),
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// Makes chunks of events and sends them.
struct Writer {
    sender: backlog::Sender,
    head: Head,
    /// One for each sequence.
    pieces: Vec<Pieces>,
    include_usage: bool,
    record: Record,
}

impl Writer {
    async fn run(mut self, mut sequences: Sequences) {
        let result = self.send_all(&mut sequences).await;
        if matches!(&result, Err(Stopped::Failed(ApiError::StreamNotRead { .. }))) {
            sequences.count_unread();
        }
        // The record learns the outcome, and the places are free, before the client hears of the
        // end.
        drop(sequences);
        if let Err(Stopped::Failed(error)) = &result {
            self.record.note_error(error);
            self.send_last(&error.body(self.record.request_id()));
        }
        // A client that has left misses it.
        let _ = self.sender.send_last(DONE.to_owned());
    }

    /// Sends the error that ends a stream; a client that has left misses it.
    fn send_last(&self, error: &ErrorBody) {
        if let Ok(data) = serde_json::to_string(error) {
            let _ = self.sender.send_last(data);
        }
    }

    async fn send_all(&mut self, sequences: &mut Sequences) -> Result<(), Stopped> {
        loop {
            let next = tokio::select! {
                next = sequences.next() => next?,
                () = self.sender.closed() => return Err(Stopped::ClientLeft),
            };
            let Some((index, event)) = next else { break };
            let report = sequences.have_finished().then(|| sequences.report());
            self.send_event(index, event, report).await?;
        }
        if self.include_usage {
            let usage = Some(Some(sequences.usage()));
            self.send(&CompletionResponse { usage, ..self.chunk() }).await?;
        }
        Ok(())
    }

    /// Sends what an event adds to its choice, if anything; the last event of all brings the
    /// report.
    async fn send_event(&mut self, index: usize, event: EventKind, carafe: Option<RunReport>) -> Result<(), Stopped> {
        let Some(piece) = self.pieces.get_mut(index).and_then(|pieces| pieces.take(event)) else {
            return Ok(());
        };
        self.send(&CompletionResponse { choices: vec![piece.into_choice(index)], carafe, ..self.chunk() }).await
    }

    /// A chunk that brings nothing yet.
    fn chunk(&self) -> CompletionResponse {
        let usage = self.include_usage.then_some(None);
        CompletionResponse { head: self.head.clone(), choices: Vec::new(), usage, carafe: None }
    }

    async fn send(&mut self, body: &impl Serialize) -> Result<(), Stopped> {
        let data = serde_json::to_string(body).map_err(|error| ApiError::Internal { detail: error.to_string() })?;
        self.sender.send(data).await.map_err(|unsent| match unsent {
            Unsent::ClientLeft => Stopped::ClientLeft,
            Unsent::Full => Stopped::Failed(ApiError::StreamNotRead { limit: MAX_UNDELIVERED }),
        })
    }
}
