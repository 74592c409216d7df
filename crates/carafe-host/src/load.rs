//! From a model folder to a graph that a guest may name.
//!
//! The manifest's words are translated to those of `carafe-openvino` here and nowhere else, for
//! native callers as well.

use std::num::NonZeroU32;
use std::sync::Arc;

use carafe_models::manifest::{self, File, Image, Tensor, Text};
use carafe_models::{ModelFolder, Task};
use carafe_openvino::{
    Activations, ClassifierSpec, DecoderSpec, Graph, GraphFiles, GraphKind, Options, Runtime, TensorSpec,
};
use carafe_tensor::Role;

use crate::bindings::text::exports::carafe::guests::generation::ChatTemplate;
use crate::decoder::{DecoderLimits, served_cache};
use crate::store::Graphs;
use crate::{Error, tokenizer};

/// A model whose graph is compiled.
#[derive(Clone)]
pub struct LoadedGraph {
    folder: ModelFolder,
    graph: Graph,
    limits: DecoderLimits,
    /// Tokens of one request; 0 for a classifier.
    context_length: u32,
    side_by_side: Option<Graph>,
}

impl LoadedGraph {
    /// Checks the folder's files for presence and size, and compiles the graph; a decoder gets the
    /// blocks of its KV cache.
    ///
    /// # Errors
    /// [`Error::Model`] for the folder, [`Error::OpenVino`] for the graph, [`Error::KvCache`] and
    /// [`Error::ContextLength`] where the context that was asked for cannot be served.
    pub fn load(
        runtime: &Runtime,
        folder: ModelFolder,
        options: &Options,
        limits: &DecoderLimits,
    ) -> Result<Self, Error> {
        folder.check_sizes()?;
        let text = folder.manifest().text.as_ref();
        let asks_for = text.and_then(|text| text.activations);
        let options = options.for_model(asks_for.map(|manifest::Activations::F32| Activations::F32));
        let limits = match text {
            Some(text) if options.favours_long_chunks() => limits.with_long_chunks(text),
            _ => *limits,
        };
        let graph = compile(runtime, &folder, &options, &limits)?;
        let (graph, context_length) = match (text, graph.cache()) {
            (Some(text), Some(layout)) => {
                let cache = served_cache(&folder.manifest().name, text, layout, &limits)?;
                (graph.with_num_blocks(cache.num_blocks), cache.context_length)
            }
            _ => (graph, 0),
        };
        Ok(Self { folder, graph, limits, context_length, side_by_side: None })
    }

    /// Compiles the graph a second time, for this many computes at once with one thread each.
    /// Several images then take less time than one after the other on all threads; a single compute
    /// is still faster on the first one.
    ///
    /// # Errors
    /// [`Error::OpenVino`] for the graph.
    pub fn with_side_by_side(self, runtime: &Runtime, computes: NonZeroU32) -> Result<Self, Error> {
        let options = Options { side_by_side: Some(computes), ..*self.graph.options() };
        let side_by_side = Some(compile(runtime, &self.folder, &options, &self.limits)?);
        Ok(Self { side_by_side, ..self })
    }

    /// Computes once, so that no request pays for what OpenVINO does at the first inference.
    ///
    /// # Errors
    /// [`Error::OpenVino`] if the graph cannot compute.
    pub fn warm_up(&self) -> Result<(), Error> {
        Ok(self.graph.warm_up()?)
    }

    /// The model's name, which is also the graph's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.folder.manifest().name
    }

    /// The folder that the model was loaded from.
    #[must_use]
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// The compiled graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// This graph, in all the forms that it is compiled in, for a guest to name.
    pub(crate) fn graphs(&self) -> Graphs {
        let side_by_side = self.side_by_side_name().zip(self.side_by_side.clone());
        Arc::new([(self.name().to_owned(), self.graph.clone())].into_iter().chain(side_by_side).collect())
    }

    /// The name for guests of the graph whose computes run side by side, if there is one. No
    /// model's name has a slash.
    pub(crate) fn side_by_side_name(&self) -> Option<String> {
        self.side_by_side.is_some().then(|| format!("{}/side-by-side", self.name()))
    }

    /// What the manifest says of a text model.
    ///
    /// # Errors
    /// [`Error::Model`] if the model does another task.
    pub fn text(&self) -> Result<&Text, Error> {
        self.folder.manifest().text.as_ref().ok_or_else(|| self.wrong_task(Task::TextGeneration))
    }

    /// Tokens that one request to a text model may have, prompt and output together: the model's own
    /// context, or less where the KV cache does not hold that or less was asked for.
    #[must_use]
    pub fn context_length(&self) -> u32 {
        self.context_length
    }

    /// What a decoder may use.
    #[must_use]
    pub fn limits(&self) -> &DecoderLimits {
        &self.limits
    }

    /// What the manifest says of an image model.
    ///
    /// # Errors
    /// [`Error::Model`] if the model does another task.
    pub fn image(&self) -> Result<&Image, Error> {
        self.folder.manifest().image.as_ref().ok_or_else(|| self.wrong_task(Task::ImageClassification))
    }

    /// The compact form of the model's tokenizer, which guests open; made of `tokenizer.json`,
    /// checked against the manifest. That takes a second for the largest vocabularies.
    ///
    /// # Errors
    /// [`Error::Model`] if there is none, or another one, [`Error::Open`] if it cannot be used.
    pub fn tokenizer(&self) -> Result<Vec<u8>, Error> {
        let file = self.read(self.folder.manifest().files.tokenizer.as_ref(), Task::TextGeneration)?;
        tokenizer::compact_form(self.name(), &file)
    }

    /// The model's chat template, checked against the manifest, if it has one.
    ///
    /// # Errors
    /// [`Error::Model`] if it is another one or no UTF-8.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, Error> {
        let manifest = self.folder.manifest();
        let Some((file, text)) = manifest.files.chat_template.as_ref().zip(manifest.text.as_ref()) else {
            return Ok(None);
        };
        let special_tokens = text.special_tokens.clone().into_iter().collect();
        Ok(Some(ChatTemplate { source: self.folder.read_text(file)?, special_tokens }))
    }

    /// The content of `labels.txt`, checked against the manifest.
    ///
    /// # Errors
    /// [`Error::Model`] if there is none, or another one.
    pub fn labels(&self) -> Result<Vec<u8>, Error> {
        self.read(self.folder.manifest().files.labels.as_ref(), Task::ImageClassification)
    }

    /// Name of the tensor of a role; the manifest's rules make sure that the task's roles are
    /// there.
    #[must_use]
    pub fn tensor_name(&self, role: Role) -> String {
        let manifest = self.folder.manifest();
        manifest.input(role).or_else(|| manifest.output(role)).map(|tensor| tensor.name.clone()).unwrap_or_default()
    }

    fn read(&self, file: Option<&File>, task: Task) -> Result<Vec<u8>, Error> {
        let file = file.ok_or_else(|| self.wrong_task(task))?;
        Ok(self.folder.read(file)?)
    }

    fn wrong_task(&self, expected: Task) -> Error {
        let got = self.folder.manifest().task.name();
        let name = self.name().to_owned();
        carafe_models::Error::WrongTask { name, expected: expected.name(), got }.into()
    }
}

fn compile(runtime: &Runtime, folder: &ModelFolder, options: &Options, limits: &DecoderLimits) -> Result<Graph, Error> {
    let files = &folder.manifest().files;
    let files = GraphFiles { xml: folder.file(&files.graph), bin: folder.file(&files.weights) };
    Ok(Graph::load(runtime, &files, graph_kind(folder, limits)?, options)?)
}

/// What a graph does, and must look like, by its manifest.
fn graph_kind(folder: &ModelFolder, limits: &DecoderLimits) -> Result<GraphKind, Error> {
    let manifest = folder.manifest();
    if let Some(text) = &manifest.text {
        return Ok(GraphKind::Decoder(DecoderSpec {
            vocabulary_size: text.vocabulary_size,
            context_length: text.context_length,
            max_num_seqs: limits.max_num_seqs,
            max_num_batched_tokens: limits.max_num_batched_tokens(text),
            max_num_logits: limits.max_num_logits(text),
        }));
    }
    let described = manifest.input(Role::Pixels).zip(manifest.output(Role::Scores));
    // The manifest's rules have seen that both are there.
    let (input, output) = described.ok_or(Error::Stopped)?;
    Ok(GraphKind::Classifier(ClassifierSpec { input: tensor_spec(input), output: tensor_spec(output) }))
}

fn tensor_spec(tensor: &Tensor) -> TensorSpec {
    let Tensor { name, role, element, shape } = tensor.clone();
    TensorSpec { name, role, element, shape }
}
