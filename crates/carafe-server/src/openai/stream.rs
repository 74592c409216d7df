//! An answer token by token: server-sent events as OpenAI's clients expect them.
//!
//! A task of its own runs the sequences and holds their permits, and hands chunks to the connection
//! through a backlog. A client that leaves closes the backlog, which ends the task at once; one
//! that does not read fills it, and then the sequences are cancelled. Either way the permits are
//! free again, whatever becomes of the connection.
//!
//! A protocol says how its [`Chunks`] are shaped.

use std::time::Duration;

use axum::http::{HeaderName, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::backlog::{self, MAX_UNDELIVERED, MAX_WAIT, Unsent, backlog};
use crate::error::{ApiError, ErrorBody};
use crate::record::Record;
use crate::service::{Caller, Generation, Piece, RunReport, Usage};

/// How often a comment is sent where there is nothing else to say, so that proxies do not think the
/// connection dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// What ends every stream of OpenAI's API.
const DONE: &str = "[DONE]";

/// How a protocol shapes its chunks.
pub(crate) trait Chunks: Send + 'static {
    /// One of them.
    type Chunk: Serialize + Send + Sync;

    /// What a piece of the choice of this number becomes. The last piece of all brings the report.
    fn of_piece(&mut self, index: usize, piece: Piece, report: Option<RunReport>) -> Vec<Self::Chunk>;

    /// What the numbers of tokens become at the end, if they are asked for.
    fn of_usage(&mut self, usage: Usage) -> Option<Self::Chunk>;
}

/// Starts the task, and answers with what it sends.
pub(crate) fn respond(generation: Generation, chunks: impl Chunks, caller: Caller) -> Response {
    let (sender, events) = backlog(MAX_WAIT);
    let writer = Writer { sender, chunks, record: caller.record };
    tokio::spawn(writer.run(generation));
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

/// Makes chunks of pieces and sends them.
struct Writer<C> {
    sender: backlog::Sender,
    chunks: C,
    record: Record,
}

impl<C: Chunks> Writer<C> {
    async fn run(mut self, mut generation: Generation) {
        let result = self.send_all(&mut generation).await;
        if matches!(&result, Err(Stopped::Failed(ApiError::StreamNotRead { .. }))) {
            generation.count_unread();
        }
        // The record learns the outcome, and the permits are free, before the client hears of the
        // end.
        drop(generation);
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

    async fn send_all(&mut self, generation: &mut Generation) -> Result<(), Stopped> {
        loop {
            let next = tokio::select! {
                next = generation.next_piece() => next?,
                () = self.sender.closed() => return Err(Stopped::ClientLeft),
            };
            let Some((index, piece)) = next else { break };
            let report = generation.has_finished().then(|| generation.report());
            for chunk in self.chunks.of_piece(index, piece, report) {
                self.send(&chunk).await?;
            }
        }
        if let Some(chunk) = self.chunks.of_usage(generation.usage()) {
            self.send(&chunk).await?;
        }
        Ok(())
    }

    async fn send(&mut self, body: &impl Serialize) -> Result<(), Stopped> {
        let data = serde_json::to_string(body).map_err(|error| ApiError::Internal { detail: error.to_string() })?;
        self.sender.send(data).await.map_err(|unsent| match unsent {
            Unsent::ClientLeft => Stopped::ClientLeft,
            Unsent::Full => Stopped::Failed(ApiError::StreamNotRead { limit: MAX_UNDELIVERED }),
        })
    }
}
