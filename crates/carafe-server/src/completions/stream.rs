//! An answer token by token: server-sent events as OpenAI's clients expect them.
//!
//! A task of its own runs the sequences and holds their places, and hands chunks to the connection through a short channel. A client that
//! leaves closes the channel, which ends the task at once; one that does not read fills it, and then the request's deadline ends the task.
//! Either way the places are free again, whatever becomes of the connection.
//!
//! Every chunk has one choice, since the plainest loop of a client reads `chunk.choices[0]`. Only the chunk that brings `usage`, for those who
//! ask for it, has none, as in OpenAI's API. What Carafe tells of a run comes with the last choice to finish.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use carafe_host::text::EventKind;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::choice::Pieces;
use super::plan::Plan;
use super::response::{CompletionResponse, Head, RunReport};
use super::sequences::Sequences;
use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::record::Record;

/// How often a comment is sent where there is nothing else to say, so that proxies do not think the connection dead.
const PING: Duration = Duration::from_secs(15);

/// Chunks that may wait for the connection.
const BACKLOG: usize = 64;

/// How long a client may take to read each of the last events.
const FAREWELL: Duration = Duration::from_secs(1);

/// What ends every stream of OpenAI's API.
const DONE: &str = "[DONE]";

/// Starts the task, and answers with what it sends.
pub(crate) fn respond(sequences: Sequences, plan: &Plan, head: Head, record: Record, deadline: Deadline) -> Response {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let pieces = plan.seeds.iter().map(|_| Pieces::new(plan.logprobs)).collect();
    let writer = Writer { sender, head, pieces, include_usage: plan.include_usage, record, deadline };
    tokio::spawn(writer.run(sequences));
    let next = |mut receiver: mpsc::Receiver<Event>| async {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    };
    let sse = Sse::new(stream::unfold(receiver, next)).keep_alive(KeepAlive::new().interval(PING).text("ping"));
    // nginx holds answers back unless it is told not to.
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
    sender: mpsc::Sender<Event>,
    head: Head,
    /// One for each sequence.
    pieces: Vec<Pieces>,
    include_usage: bool,
    record: Record,
    deadline: Deadline,
}

impl Writer {
    async fn run(mut self, mut sequences: Sequences) {
        let result = self.send_all(&mut sequences).await;
        // The record learns the outcome, and the places are free, before the client hears of the end.
        drop(sequences);
        match result {
            Err(Stopped::ClientLeft) => {}
            Err(Stopped::Failed(error)) => {
                self.record.note_error(&error);
                if let Ok(event) = Event::default().json_data(error.body(self.record.request_id())) {
                    self.send_last(event).await;
                }
                self.send_last(Event::default().data(DONE)).await;
            }
            Ok(()) => self.send_last(Event::default().data(DONE)).await,
        }
    }

    /// Sends one of the last events, whose time is not the request's; a client that has left, or does not read, misses it.
    async fn send_last(&self, event: Event) {
        let _ = timeout(FAREWELL, self.sender.send(event)).await;
    }

    async fn send_all(&mut self, sequences: &mut Sequences) -> Result<(), Stopped> {
        let sender = self.sender.clone();
        loop {
            let next = tokio::select! {
                next = sequences.next() => next?,
                () = sender.closed() => return Err(Stopped::ClientLeft),
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

    /// Sends what an event adds to its choice, if anything; the last event of all brings the report.
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
        let failed = |error: axum::Error| Stopped::Failed(ApiError::Internal { detail: error.to_string() });
        let event = Event::default().json_data(body).map_err(failed)?;
        match self.deadline.bound(self.sender.send(event)).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(Stopped::ClientLeft),
        }
    }
}
