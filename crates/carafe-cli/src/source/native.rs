//! A request that runs without WebAssembly: the same core, its model straight over
//! `carafe-openvino`.

use std::collections::VecDeque;

use anyhow::Result;
use carafe_core::text::{Generator, Logits, ModelInput, ModelRunner, RunError, error_chain};
use carafe_core::tokenizer::Tokenizer;
use carafe_host::LoadedGraph;
use carafe_host::text as host;
use carafe_openvino::{Context, ElementType, Graph, TensorView};

use super::Source;

/// The host's words, which are the WIT's, and those of the core.
mod convert {
    carafe_core::wit_conversions!(carafe_host::text);
}

pub(crate) use convert::request as core_request;

/// A generator and its one request.
pub(crate) struct Native {
    generator: Generator<OpenVino>,
    events: VecDeque<host::EventKind>,
}

impl Native {
    /// Makes a generator and submits the request.
    pub(crate) fn start(model: &LoadedGraph, options: host::TextOptions, request: host::Request) -> Result<Self> {
        let mut generator = Self::generator(model, options)?;
        generator.submit(core_request(request))?;
        Ok(Self { generator, events: VecDeque::new() })
    }

    /// Makes a generator for a loaded model.
    pub(crate) fn generator(model: &LoadedGraph, options: host::TextOptions) -> Result<Generator<OpenVino>> {
        let sizes = convert::model(host::description(model, options)?);
        let tokenizer = Tokenizer::open(&model.tokenizer()?)?;
        let runner = OpenVino { graph: model.graph().clone(), context: None };
        Ok(Generator::new(runner, tokenizer, sizes)?)
    }
}

impl Source for Native {
    fn next(&mut self) -> Result<Option<host::EventKind>> {
        while self.events.is_empty() && !self.generator.is_idle() {
            let events = self.generator.step();
            let tokenizer = self.generator.tokenizer();
            self.events.extend(events.into_iter().map(|event| convert::event_kind(event.kind, tokenizer)));
        }
        Ok(self.events.pop_front())
    }

    fn guest_memory(&self) -> Option<u64> {
        None
    }
}

/// The model over OpenVINO, with the same checks as under wasi:nn.
pub(crate) struct OpenVino {
    graph: Graph,
    context: Option<Context>,
}

impl ModelRunner for OpenVino {
    fn reset(&mut self) -> Result<(), RunError> {
        // One cache at a time: the old one goes first.
        self.context = None;
        self.context = Some(self.graph.context().map_err(run_error)?);
        Ok(())
    }

    fn run(&mut self, inputs: &[ModelInput], logits: &mut Logits) -> Result<(), RunError> {
        let Some(context) = &mut self.context else {
            return Err(RunError::new("the model has no KV cache; it must be reset first"));
        };
        let data: Vec<Vec<u8>> = inputs.iter().map(bytes).collect();
        let tensors: Vec<_> = inputs.iter().zip(&data).map(|(input, data)| tensor(input, data)).collect();
        let read = |_: &str, output: TensorView<'_>| {
            logits.refill(|values| values.extend(output.f32_values()));
        };
        context.compute_with(&tensors, read).map_err(run_error)
    }
}

fn bytes(input: &ModelInput) -> Vec<u8> {
    input.values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn tensor<'a>(input: &'a ModelInput, data: &'a [u8]) -> (&'static str, TensorView<'a>) {
    (input.role.name(), TensorView { dims: &input.dims, element: ElementType::I32, data })
}

fn run_error(error: carafe_openvino::Error) -> RunError {
    RunError::new(error_chain(&error))
}
