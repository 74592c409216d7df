//! The listener's loop: takes connections, and ends in order.
//!
//! Ending has three stages. At the signal the listener is closed, idle connections are closed, and what runs goes on. After the time
//! of `drain` what still runs is cut off, each with an error in words. A moment later the rest is given up.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::app::app;
use crate::server::{Phase, Server};

/// Connections at one time; more wait until one is closed.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the last errors may take to be sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the loop rests when the system refuses a connection, for want of file descriptors say.
const REST: Duration = Duration::from_millis(100);

impl Server {
    /// Serves connections until `shutdown` resolves, then finishes what runs and returns.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let connections = Connections::new(app(self.clone()));
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = connections.take_next(&listener) => {}
                () = &mut shutdown => break,
            }
        }
        drop(listener);
        self.finish(connections.graceful).await;
    }

    async fn finish(self, connections: GracefulShutdown) {
        let drain = self.configuration().drain;
        tracing::info!(connections = connections.count(), drain_s = drain.as_secs_f64(), "stopping");
        self.enter(Phase::Draining);
        let mut closed = pin!(connections.shutdown());
        if timeout(drain, &mut closed).await.is_ok() {
            tracing::info!("stopped; every request was finished");
            return;
        }
        self.enter(Phase::Cutting);
        match timeout(FAREWELL, closed).await {
            Ok(()) => tracing::warn!("stopped; requests that ran longer than `--drain` were cut off"),
            Err(_) => tracing::warn!("stopped; connections that did not read to their end were closed"),
        }
    }
}

/// Everything that a new connection is given.
struct Connections {
    router: Router,
    free: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Connections {
    fn new(router: Router) -> Self {
        Self { router, free: Arc::new(Semaphore::new(MAX_CONNECTIONS)), graceful: GracefulShutdown::new() }
    }

    /// Waits until a connection may be taken, and takes it.
    async fn take_next(&self, listener: &TcpListener) {
        // The semaphore is never closed.
        let Ok(permit) = self.free.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => self.serve(stream, permit),
            Err(error) => {
                tracing::warn!("a connection was refused by the system: {error}");
                sleep(REST).await;
            }
        }
    }

    fn serve(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        // Tokens are small and should leave at once; without it they only leave later.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off, or talks no HTTP, has been told of by its request, if there was one.
            let _: Result<(), hyper::Error> = connection.await;
            drop(permit);
        });
    }
}
