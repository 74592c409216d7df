//! The server as its handlers see it: configuration, models, metrics, and which phase of its life
//! it is in.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;

use crate::body::BodyMemory;
use crate::configuration::Configuration;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::phase::Phase;
use crate::tenant::Tenants;

/// A server; clones are the same one.
#[derive(Clone)]
pub struct Server(Arc<State>);

struct State {
    configuration: Configuration,
    /// Empty while models are loaded.
    models: OnceLock<Arc<Models>>,
    phase: watch::Sender<Phase>,
    metrics: Metrics,
    body_memory: BodyMemory,
    tenants: Tenants,
}

impl Server {
    /// A server without models: it answers, and says that it is not ready.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let (phase, _) = watch::channel(Phase::Serving);
        let metrics = Metrics::default();
        let body_memory = BodyMemory::new(configuration.body_memory_mib, metrics.body_bytes.clone());
        let tenants = Tenants::new(&configuration.api_keys, Instant::now());
        Self(Arc::new(State { configuration, models: OnceLock::new(), phase, metrics, body_memory, tenants }))
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

    /// The memory that request bodies share.
    pub(crate) fn body_memory(&self) -> &BodyMemory {
        &self.0.body_memory
    }

    /// Those who may use the models.
    pub(crate) fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// Whether requests should be sent here: the models are loaded, and the server is not about to
    /// stop.
    pub(crate) fn check_ready(&self) -> Result<(), ApiError> {
        if *self.0.phase.borrow() != Phase::Serving {
            return Err(ApiError::Draining);
        }
        self.models().map(drop)
    }

    /// The models, or why there is nothing to be had of them now. A server that stops answers what
    /// still arrives, until it cuts off.
    pub(crate) fn models(&self) -> Result<&Arc<Models>, ApiError> {
        if *self.0.phase.borrow() == Phase::Cutting {
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
