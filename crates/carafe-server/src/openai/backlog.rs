//! What of a stream waits for its client: chunks that were made and not taken by the connection
//! yet.
//!
//! At most [`MAX_UNDELIVERED`] bytes wait. Several long chunks may come at once, so a full backlog
//! is no fault yet; a client that lets its stream wait for room longer than [`MAX_WAIT`] in all
//! does not read.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

/// The most bytes that wait for a client, but for the last events, which say that they were too
/// many.
pub(super) const MAX_UNDELIVERED: usize = 1 << 20;

/// How long a stream waits for room, all its waits together.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);

/// Puts chunks into the backlog.
pub(super) struct Sender {
    chunks: mpsc::UnboundedSender<String>,
    waiting: Arc<Waiting>,
    /// What is left of the time to wait.
    patience: Duration,
}

#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    fewer: Notify,
}

/// Why a chunk was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The client has left.
    ClientLeft,
    /// The client does not read.
    Full,
}

impl Sender {
    /// Sends the data of an event as soon as there is room for it.
    pub(super) async fn send(&mut self, data: String) -> Result<(), Unsent> {
        while !self.has_room(data.len()) {
            let started = Instant::now();
            tokio::select! {
                read = timeout(self.patience, self.waiting.fewer.notified()) => read.map_err(|_| Unsent::Full)?,
                () = self.chunks.closed() => return Err(Unsent::ClientLeft),
            }
            self.patience = self.patience.saturating_sub(started.elapsed());
        }
        self.send_last(data)
    }

    /// Sends one of the few events that end a stream, whether or not there is room.
    pub(super) fn send_last(&self, data: String) -> Result<(), Unsent> {
        self.waiting.bytes.fetch_add(data.len(), Ordering::Relaxed);
        self.chunks.send(data).map_err(|_| Unsent::ClientLeft)
    }

    /// Waits until the client leaves.
    pub(super) async fn closed(&self) {
        self.chunks.closed().await;
    }

    /// A chunk that is longer than all the room goes alone.
    fn has_room(&self, length: usize) -> bool {
        let waiting = self.waiting.bytes.load(Ordering::Relaxed);
        waiting == 0 || waiting.saturating_add(length) <= MAX_UNDELIVERED
    }
}

/// A backlog that is empty: where chunks go in, and the events that come out.
pub(super) fn backlog(patience: Duration) -> (Sender, impl Stream<Item = Result<Event, Infallible>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(Waiting::default());
    let next = |(mut receiver, waiting): (mpsc::UnboundedReceiver<String>, Arc<Waiting>)| async {
        let data = receiver.recv().await?;
        waiting.bytes.fetch_sub(data.len(), Ordering::Relaxed);
        waiting.fewer.notify_one();
        Some((Ok(Event::default().data(data)), (receiver, waiting)))
    };
    (Sender { chunks: sender, waiting: waiting.clone(), patience }, stream::unfold((receiver, waiting), next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _};
    use std::pin::pin;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
    }

    fn quarter() -> String {
        "a".repeat(MAX_UNDELIVERED / 4)
    }

    #[test]
    fn a_client_that_does_not_read_has_a_mebibyte_and_the_last_words_waiting() {
        block_on(async {
            let (mut sender, events) = backlog(Duration::from_millis(1));
            for _ in 0..4 {
                assert_eq!(sender.send(quarter()).await, Ok(()));
            }
            assert_eq!(sender.send("b".to_owned()).await, Err(Unsent::Full));
            assert_eq!(sender.send_last("the end".to_owned()), Ok(()));
            assert_eq!(events.take(5).count().await, 5);
        });
    }

    #[test]
    fn a_client_that_reads_gets_everything_however_much_comes_at_once() {
        block_on(async {
            let (mut sender, events) = backlog(MAX_WAIT);
            let send = async move {
                for _ in 0..20 {
                    assert_eq!(sender.send(quarter()).await, Ok(()));
                }
                assert_eq!(sender.send("a".repeat(2 * MAX_UNDELIVERED)).await, Ok(()), "it goes alone");
            };
            let ((), count) = tokio::join!(send, events.count());
            assert_eq!(count, 21);
        });
    }

    #[test]
    fn a_client_that_leaves_is_noticed() {
        let (sender, events) = backlog(MAX_WAIT);
        assert!(pin!(sender.closed()).now_or_never().is_none());
        drop(events);
        assert!(pin!(sender.closed()).now_or_never().is_some());
        assert_eq!(sender.send_last("a".to_owned()), Err(Unsent::ClientLeft));
    }
}
