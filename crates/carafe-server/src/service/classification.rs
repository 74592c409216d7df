//! Classifies images: a model, its permits, its time and its figures.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use carafe_host::image::{Classification, ImageModel};

use super::caller::Caller;
use crate::card::ModelCard;
use crate::error::ApiError;
use crate::models::Served;

/// An image model for one request.
pub(crate) struct Classifier {
    caller: Caller,
    served: Arc<Served<ImageModel>>,
}

impl Classifier {
    /// The image model of this name, or the first one.
    pub(crate) fn find(caller: Caller, name: Option<&str>) -> Result<Self, ApiError> {
        let served = caller.server.models()?.image(name)?.clone();
        caller.record.note(|facts| facts.model = Some(served.card.id.clone()));
        Ok(Self { caller, served })
    }

    /// What there is to say of the model.
    pub(crate) fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// Time since the request's head was read.
    pub(crate) fn elapsed(&self) -> Duration {
        self.caller.record.elapsed()
    }

    /// The `top` most probable labels of an image.
    pub(crate) async fn classify(&mut self, image: Bytes, top: u32) -> Result<Classification, ApiError> {
        let Caller { server, record, deadline, tenant } = &mut self.caller;
        let _permit = self.served.permits.take(tenant, 1)?;
        let classification = deadline.bound(self.served.model.classify(image, top)).await??;
        server.metrics().observe_image(&self.served.card.id, &classification.times);
        record.note(|facts| facts.queue = Some(classification.times.queue));
        Ok(classification)
    }
}
