//! The models that are served, each with its guest and its permits.

use std::num::NonZeroU32;
use std::sync::Arc;

use carafe_host::image::ImageModel;
use carafe_host::text::{TextModel, TextOptions};
use carafe_host::{Error, Limits, LoadedGraph, Sandbox};
use carafe_models::Task;
use carafe_models::manifest::GenerationDefaults;

use crate::admission::Permits;
use crate::card::ModelCard;
use crate::configuration::Configuration;
use crate::error::ApiError;
use crate::metrics::{GuestCounts, ModelFigures};
use crate::quote::quoted;

/// Every model that is served, running.
pub struct Models {
    text: Vec<Arc<Served<TextModel>>>,
    image: Vec<Arc<Served<ImageModel>>>,
}

/// One model.
pub(crate) struct Served<M> {
    pub(crate) card: ModelCard,
    pub(crate) model: M,
    pub(crate) permits: Permits,
    /// What a text begins with; text models only.
    pub(crate) eos_token_id: Option<u32>,
    /// How tokens are chosen where a request does not say it; text models only.
    pub(crate) generation: GenerationDefaults,
}

impl Served<TextModel> {
    /// Refuses a conversation if the model has no chat template.
    pub(crate) fn check_chat(&self) -> Result<(), ApiError> {
        if self.card.chat_template == Some(true) {
            return Ok(());
        }
        let message = format!(
            "the model `{}` has no chat template: it continues texts and does not converse; use `/v1/completions`",
            self.card.id
        );
        Err(ApiError::unsupported("messages", message))
    }
}

/// Says how the permits of each model are shared between keys, if there are several.
fn tell_permits(configuration: &Configuration) {
    let (keys, queue) = (configuration.api_keys.count(), configuration.queue.get());
    if keys < 2 {
        return;
    }
    let permits = Permits::new(queue, keys);
    match permits.part() {
        0 => tracing::warn!(
            "there are {keys} API keys and {queue} permits: none is kept for any key, and one key can take all; \
             `--queue {}` keeps one for each",
            2 * keys
        ),
        part => tracing::info!(
            "{keys} API keys: of the {queue} permits of a model each has {part} to itself, and may take up to {}",
            permits.most()
        ),
    }
}

impl Models {
    /// Opens a guest for each of the graphs. The first model of a task is that of requests that
    /// name none.
    ///
    /// `openvino` is the version of the library that loaded them, `image_workers` the number of
    /// guests of each image model. `configuration` is that of the server which they are for: it
    /// says how many permits each has, and between how many keys they are shared.
    ///
    /// # Errors
    /// Those of [`TextModel::start`] and [`ImageModel::start`], and of reading a certificate.
    pub fn start(
        sandbox: &Sandbox,
        graphs: &[LoadedGraph],
        options: TextOptions,
        limits: Limits,
        openvino: &str,
        configuration: &Configuration,
        image_workers: NonZeroU32,
    ) -> Result<Self, Error> {
        let (mut served_text, mut image) = (Vec::new(), Vec::new());
        tell_permits(configuration);
        for graph in graphs {
            let card = ModelCard::of(graph, openvino)?;
            let permits = Permits::new(configuration.queue.get(), configuration.api_keys.count());
            match graph.folder().manifest().task {
                Task::TextGeneration => {
                    let text = graph.text()?;
                    let (eos_token_id, generation) = (text.eos_token_ids.first().copied(), text.generation);
                    let model = TextModel::start(sandbox, graph, options, limits)?;
                    served_text.push(Arc::new(Served { card, model, permits, eos_token_id, generation }));
                }
                Task::ImageClassification => {
                    let model = ImageModel::start(sandbox, graph, limits, image_workers)?;
                    let generation = GenerationDefaults::default();
                    image.push(Arc::new(Served { card, model, permits, eos_token_id: None, generation }));
                }
            }
        }
        Ok(Self { text: served_text, image })
    }

    /// The text model of this name, or the first one.
    pub(crate) fn text(&self, name: Option<&str>) -> Result<&Arc<Served<TextModel>>, ApiError> {
        self.find(&self.text, name, Task::TextGeneration)
    }

    /// The image model of this name, or the first one.
    pub(crate) fn image(&self, name: Option<&str>) -> Result<&Arc<Served<ImageModel>>, ApiError> {
        self.find(&self.image, name, Task::ImageClassification)
    }

    /// What each model's guests have counted so far.
    pub(crate) fn figures(&self) -> impl Iterator<Item = ModelFigures> {
        let text = self.text.iter().map(|served| ModelFigures {
            model: served.card.id.clone(),
            counts: GuestCounts::Text { stats: Box::new(served.model.stats()), cache: served.model.kv_cache() },
        });
        text.chain(self.image.iter().map(|served| ModelFigures {
            model: served.card.id.clone(),
            counts: GuestCounts::Image(served.model.stats()),
        }))
    }

    /// What there is to say of each model, text models first.
    pub(crate) fn cards(&self) -> impl Iterator<Item = &ModelCard> {
        let text = self.text.iter().map(|served| &served.card);
        text.chain(self.image.iter().map(|served| &served.card))
    }

    /// The error of a name that no model has.
    pub(crate) fn unknown(&self, name: &str) -> ApiError {
        self.missing(format!("there is no model {}", quoted(name)))
    }

    fn missing(&self, message: String) -> ApiError {
        let known: Vec<String> = self.cards().map(|card| format!("`{}`", card.id)).collect();
        ApiError::UnknownModel { message, known: known.join(", ") }
    }

    fn find<'a, M>(
        &self,
        models: &'a [Arc<Served<M>>],
        name: Option<&str>,
        task: Task,
    ) -> Result<&'a Arc<Served<M>>, ApiError> {
        let found = models.iter().find(|served| name.is_none_or(|name| served.card.id == name));
        found.ok_or_else(|| match name {
            Some(name) if self.cards().any(|card| card.id == name) => {
                ApiError::invalid("model", format!("`{name}` does not do {}; `/v1/models` tells which do", task.name()))
            }
            Some(name) => self.unknown(name),
            None => self.missing(format!("no model here does {}", task.name())),
        })
    }
}
