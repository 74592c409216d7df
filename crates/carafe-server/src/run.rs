//! The listener's loop: takes connections, and ends in order.
//!
//! - `connections`: which are open, and which makes room for another
//! - `socket`: bounded writes, and closing in stages
//!
//! Ending has four stages. At the signal the server says that it is not ready, and serves on for
//! the time of `shutdown_delay`, so that a balancer can turn to others. Then the listener is
//! closed, quiet connections are closed a moment later, and what runs goes on. After the time of
//! `drain` what still runs is cut off, each with an error in words. A moment later the rest is
//! given up.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Request, Response, header};
use futures_util::FutureExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::app::app;
use crate::holding::holding;
use crate::layers::head::ProbesOnly;
use crate::phase::Phase;
use crate::server::Server;
use connections::{Activity, Admitted, Connections};
use socket::Socket;

mod connections;
mod socket;

/// How long a client may take to send the head of a request, and how long a connection is kept
/// without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The buffer for a request's head, and for what is read ahead of a body. It is filled once more
/// before a head is refused as too long, so a head may have twice as many bytes.
const MAX_READ_BUFFER: usize = 64 << 10;

/// How long a connection without a request is kept once the listener is closed: its next request
/// may be on its way.
const LAST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the last errors may take to be sent.
const FINAL_SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the loop rests when the system refuses a connection, for want of file descriptors say.
const REST: Duration = Duration::from_millis(100);

impl Server {
    /// Serves connections until `shutdown` resolves, then finishes what runs and returns.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let listening = Listening::new(self.clone());
        listening.accept_until(&listener, shutdown).await;
        self.enter(Phase::Leaving);
        let delay = self.configuration().shutdown_delay;
        tracing::info!(
            connections = listening.connections.count(),
            delay_s = delay.as_secs_f64(),
            "not ready any more"
        );
        listening.accept_until(&listener, sleep(delay)).await;
        listening.accept_rest(&listener);
        drop(listener);
        self.finish(listening).await;
    }

    async fn finish(self, Listening { connections, graceful, .. }: Listening) {
        let drain = self.configuration().drain;
        tracing::info!(connections = connections.count(), drain_s = drain.as_secs_f64(), "stopping");
        self.enter(Phase::Draining);
        let mut closed = pin!(async {
            let _ = timeout(LAST_REQUEST_TIMEOUT, connections.all_closed()).await;
            connections.drop_all_quiet();
            graceful.shutdown().await;
            connections.all_closed().await;
        });
        if timeout(drain, &mut closed).await.is_ok() {
            tracing::info!("stopped; every request was finished");
            return;
        }
        self.enter(Phase::Cutting);
        match timeout(FINAL_SEND_TIMEOUT, closed).await {
            Ok(()) => tracing::warn!("stopped; requests that ran longer than `--drain` were cut off"),
            Err(_) => tracing::warn!("stopped; connections that did not read to their end were closed"),
        }
    }
}

/// Everything that a new connection is given.
struct Listening {
    server: Server,
    router: TowerToHyperService<Router>,
    connections: Connections,
    graceful: GracefulShutdown,
}

impl Listening {
    fn new(server: Server) -> Self {
        let router = TowerToHyperService::new(app(server.clone()));
        let connections = Connections::new(server.metrics().connections.clone());
        Self { server, router, connections, graceful: GracefulShutdown::new() }
    }

    async fn accept_until(&self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.serve(stream),
                    Err(error) => self.make_room(&error).await,
                },
            }
        }
    }

    /// Takes what the system has accepted already and would reset with the listener.
    fn accept_rest(&self, listener: &TcpListener) {
        while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
            self.serve(stream);
        }
    }

    /// After the system has refused a connection: for want of file descriptors, a quiet connection
    /// gives its own.
    async fn make_room(&self, error: &std::io::Error) {
        tracing::warn!("a connection was refused by the system: {error}");
        let rest = if self.connections.drop_oldest_quiet() { Duration::from_millis(1) } else { REST };
        sleep(rest).await;
    }

    fn serve(&self, stream: TcpStream) {
        let admitted = self.connections.admit();
        let activity = admitted.activity().clone();
        let answering = Answering {
            server: self.server.clone(),
            router: self.router.clone(),
            connections: self.connections.clone(),
            activity: activity.clone(),
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_READ_BUFFER)
            .serve_connection(
                TokioIo::new(Socket::new(stream, admitted)),
                service_fn(move |request| answering.clone().answer(request)),
            );
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // The request's record says how it ended, if there was a request.
                _ = connection => {}
                () = activity.wait_until_dropped() => {}
            }
        });
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct Answering {
    server: Server,
    router: TowerToHyperService<Router>,
    connections: Connections,
    activity: Arc<Activity>,
}

impl Answering {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let in_hand = Admitted::begin(&self.connections, &self.activity);
        let body_ended = in_hand.body_ended().clone();
        let mut request = request.map(|body| WatchedBody::new(body, body_ended.clone()));
        if self.activity.is_reserved() {
            request.extensions_mut().insert(ProbesOnly);
        }
        let mut response = self.router.call(request).await?;
        if self.is_last(&body_ended) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| holding(body, in_hand)))
    }

    /// Whether the connection ends with this answer: the rest of an unread body would be taken for
    /// the next request.
    fn is_last(&self, body_ended: &AtomicBool) -> bool {
        let is_stopping = *self.server.phase().borrow() != Phase::Serving;
        is_stopping || self.activity.is_reserved() || !body_ended.load(Ordering::Relaxed)
    }
}

/// A request's body that notes when it has been read to its end.
struct WatchedBody {
    body: Incoming,
    ended: Arc<AtomicBool>,
}

impl WatchedBody {
    fn new(body: Incoming, ended: Arc<AtomicBool>) -> Self {
        ended.store(body.is_end_stream(), Ordering::Relaxed);
        Self { body, ended }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
