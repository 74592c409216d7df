//! The server as its handlers see it: configuration, models, metrics, and which phase of its life it is in.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::configuration::Configuration;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::models::Models;

/// A server; clones are the same one.
#[derive(Clone)]
pub struct Server(Arc<State>);

struct State {
    configuration: Configuration,
    /// Empty while models are loaded.
    models: OnceLock<Arc<Models>>,
    phase: watch::Sender<Phase>,
    metrics: Metrics,
}

/// Where the server is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are taken.
    Serving,
    /// What runs is finished, nothing new is taken.
    Draining,
    /// What still runs is cut off.
    Cutting,
}

impl Server {
    /// A server without models: it answers, and says that it is not ready.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let (phase, _) = watch::channel(Phase::Serving);
        Self(Arc::new(State { configuration, models: OnceLock::new(), phase, metrics: Metrics::default() }))
    }

    /// Hands over the models; from now on requests are served. A second call changes nothing.
    pub fn ready(&self, models: Models) {
        // The first models stay: requests may be running on them.
        let _ = self.0.models.set(Arc::new(models));
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The models, or why there is nothing to be had of them now.
    pub(crate) fn models(&self) -> Result<&Arc<Models>, ApiError> {
        if *self.0.phase.borrow() != Phase::Serving {
            return Err(ApiError::Draining);
        }
        self.loaded().ok_or(ApiError::NotReady)
    }

    /// The models if they are loaded, whatever the phase.
    pub(crate) fn loaded(&self) -> Option<&Arc<Models>> {
        self.0.models.get()
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
    }
}
