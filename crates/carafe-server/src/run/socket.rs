//! A connection's socket: what does not depend on HTTP.
//!
//! A client that does not read loses its connection after [`WRITE_STALL`], and with it whatever its
//! answer holds. And a connection that ends before its client has sent everything is closed in
//! stages: the writing side first, then what still comes is read and discarded, so that the answer
//! is not lost. Closing at once would reset the connection, and a client that sends its whole body
//! before it reads would see a broken pipe instead of its refusal.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};

use super::connections::{Activity, Admitted};

/// How long a write may wait for its client to read.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// What the system may hold of an answer that its client has not read; it doubles this for its own
/// needs.
const SEND_BUFFER: usize = 256 << 10;

/// How long a closing connection waits for more to discard; nginx waits as long.
const LINGER_GAP: Duration = Duration::from_secs(5);

/// How long and how much a closing connection discards at most.
const LINGER_TIME: Duration = Duration::from_secs(60);
const LINGER_BYTES: usize = 64 << 20;

/// The socket of one connection.
pub(super) struct Socket {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    activity: Arc<Activity>,
    /// Goes with the stream, so that a connection that is being closed is still counted.
    admitted: Option<Admitted>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, admitted: Admitted) -> Self {
        // Tokens are small and should leave at once; without it they only leave later.
        let _ = stream.set_nodelay(true);
        // The system's own bound, up to 4 MiB, would do as well, only with more memory.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let activity = admitted.activity().clone();
        Self { stream: Some(stream), activity, admitted: Some(admitted), stalled: None }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Ends a write that has waited too long.
    fn bound<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.note_blocked(written.is_pending());
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream()?.poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.note_read();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(context, slices);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

impl Drop for Socket {
    /// Closes in stages where the client may still be sending. Not in `poll_shutdown`, which hyper
    /// leaves out after an error of its own.
    fn drop(&mut self) {
        let (stream, admitted) = (self.stream.take(), self.admitted.take());
        let (Some(stream), Ok(runtime)) = (stream, Handle::try_current()) else { return };
        if self.activity.has_unread() && !self.activity.is_dropped() {
            self.activity.note_lingering();
            runtime.spawn(linger(stream, admitted));
        }
    }
}

/// The last stages: no more is written, what still comes is discarded.
async fn linger(stream: TcpStream, admitted: Option<Admitted>) {
    let Some(admitted) = admitted else { return };
    tokio::select! {
        _ = timeout(LINGER_TIME, discard(&stream)) => {}
        () = admitted.activity().wait_until_dropped() => {}
    }
}

async fn discard(stream: &TcpStream) {
    // A client that is gone has nothing more to send.
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
    let (mut buffer, mut discarded) = ([0; 16 << 10], 0);
    while discarded <= LINGER_BYTES && timeout(LINGER_GAP, stream.readable()).await.is_ok() {
        match stream.try_read(&mut buffer) {
            Ok(count @ 1..) => discarded += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
}
