//! The host side of wasi:nn: what a guest can do with graphs, contexts and tensors.
//!
//! A guest names graphs that the host has loaded and computes with them; nothing else. Whatever it sends is checked before OpenVINO
//! sees it, by `carafe-openvino`, which owns the rules for native callers too; here stand the rules that only a guest needs: what it
//! may keep, how long its names may be, and that `load` is refused. Errors carry the specification's codes and OpenVINO's own words.
#![expect(unreachable_pub, reason = "the generated bindings re-export these types as the resources of wasi:nn")]

use std::sync::Arc;
use std::time::Instant;

use carafe_openvino::{ElementType, ErrorKind, GraphKind, TensorView};
use carafe_tensor::error_chain;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTableError};

use crate::bindings::ml::wasi::nn::errors::ErrorCode;
use crate::bindings::ml::wasi::nn::graph::{ExecutionTarget, GraphEncoding};
use crate::bindings::ml::wasi::nn::tensor::TensorType;
use crate::bindings::ml::wasi::nn::{errors, graph, inference, tensor};
use crate::limits::{ComputeTime, ContextKind, Exceeded, thread_time};
use crate::store::State;

/// Longest name, in bytes, that a guest may send: longer ones are no name of anything and would only fill the error's text.
const MAX_NAME: usize = 256;
/// Most dimensions of a tensor; OpenVINO's graphs have at most 5 here.
const MAX_RANK: usize = 8;
/// Most tensors of one compute.
const MAX_INPUTS: usize = 64;

/// A graph that a guest has named.
pub struct Graph(carafe_openvino::Graph);

/// A graph's execution context: its state between computes, which is a decoder's KV cache.
pub struct ExecutionContext {
    context: carafe_openvino::Context,
    holds: ContextKind,
}

/// A tensor that a guest made or a compute answered.
pub struct Tensor {
    dimensions: Vec<u32>,
    ty: TensorType,
    /// Shared, so that handing it to a guest is one copy, into the guest's own memory.
    data: Arc<Vec<u8>>,
    /// wasi:nn's constructor cannot fail; a tensor that may not be kept is kept without its data, and its use is refused.
    refused: Option<Failure>,
}

/// Why a call failed: a code of the specification, and words.
#[derive(Clone, Debug)]
pub struct Failure {
    code: Code,
    message: String,
}

/// The codes of wasi:nn that this host uses, and a trap for what has no code.
#[derive(Clone, Copy, Debug)]
enum Code {
    Nn(ErrorCode),
    Trap,
}

impl Failure {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: Code::Nn(code), message: message.into() }
    }

    fn too_large(what: &str, unit: &str, exceeded: Exceeded) -> Self {
        let Exceeded { wanted, cap } = exceeded;
        Self::new(ErrorCode::TooLarge, format!("{what} would come to {wanted} {unit}; a guest may keep {cap}"))
    }
}

impl From<carafe_openvino::Error> for Failure {
    fn from(error: carafe_openvino::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidArgument => ErrorCode::InvalidArgument,
            ErrorKind::NotFound => ErrorCode::NotFound,
            ErrorKind::TooLarge => ErrorCode::TooLarge,
            ErrorKind::Runtime => ErrorCode::RuntimeError,
        };
        Self::new(code, error_chain(&error))
    }
}

/// A handle that does not exist, or one too many: the guest is broken, and stops.
impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self { code: Code::Trap, message: error.to_string() }
    }
}

impl errors::Host for State {}

impl errors::HostError for State {
    fn code(&mut self, error: Resource<Failure>) -> wasmtime::Result<ErrorCode> {
        Ok(match self.table.get(&error)?.code {
            Code::Nn(code) => code,
            Code::Trap => ErrorCode::Unknown,
        })
    }

    fn data(&mut self, error: Resource<Failure>) -> wasmtime::Result<String> {
        Ok(self.table.get(&error)?.message.clone())
    }

    fn drop(&mut self, error: Resource<Failure>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

/// Puts a `tensor.data` in the place of the generated one, which wants a vector of its own and so a copy on the host for every read.
///
/// # Errors
/// If the interface has no such function.
pub(crate) fn share_data(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let data = |store: StoreContextMut<'_, State>, (tensor,): (Resource<Tensor>,)| {
        Ok((Arc::clone(&store.data().table.get(&tensor)?.data),))
    };
    linker.allow_shadowing(true);
    linker.instance("wasi:nn/tensor@0.2.0-rc-2024-10-28")?.func_wrap("[method]tensor.data", data)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl tensor::Host for State {}

impl tensor::HostTensor for State {
    fn new(&mut self, dimensions: Vec<u32>, ty: TensorType, data: Vec<u8>) -> wasmtime::Result<Resource<Tensor>> {
        let tensor = match self.admit(&dimensions, &data) {
            Ok(()) => Tensor { dimensions, ty, data: Arc::new(data), refused: None },
            Err(failure) => Tensor { dimensions: Vec::new(), ty, data: Arc::default(), refused: Some(failure) },
        };
        Ok(self.table.push(tensor)?)
    }

    fn dimensions(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&tensor)?.dimensions.clone())
    }

    fn ty(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<TensorType> {
        Ok(self.table.get(&tensor)?.ty)
    }

    fn data(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&tensor)?.data.to_vec())
    }

    fn drop(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<()> {
        self.take(tensor)?;
        Ok(())
    }
}

impl graph::Host for State {
    fn load(
        &mut self,
        _builder: Vec<Vec<u8>>,
        _encoding: GraphEncoding,
        _target: ExecutionTarget,
    ) -> wasmtime::Result<Result<Resource<Graph>, Resource<Failure>>> {
        let message = "`load` from bytes is refused: a guest names graphs that the host loaded; use `load-by-name`";
        self.answer(Err(Failure::new(ErrorCode::Security, message)))
    }

    fn load_by_name(&mut self, name: String) -> wasmtime::Result<Result<Resource<Graph>, Resource<Failure>>> {
        let graph = self.find_graph(&name);
        self.answer(graph)
    }
}

impl graph::HostGraph for State {
    fn init_execution_context(
        &mut self,
        graph: Resource<Graph>,
    ) -> wasmtime::Result<Result<Resource<ExecutionContext>, Resource<Failure>>> {
        let context = self.open_context(&graph);
        self.answer(context)
    }

    fn drop(&mut self, graph: Resource<Graph>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl inference::Host for State {}

impl inference::HostGraphExecutionContext for State {
    fn compute(
        &mut self,
        context: Resource<ExecutionContext>,
        inputs: Vec<(String, Resource<Tensor>)>,
    ) -> wasmtime::Result<Result<Vec<(String, Resource<Tensor>)>, Resource<Failure>>> {
        let started = Instant::now();
        let outputs = self.compute_owned(&context, inputs);
        self.clock.add_host(started.elapsed());
        self.answer(outputs)
    }

    fn drop(&mut self, context: Resource<ExecutionContext>) -> wasmtime::Result<()> {
        let context = self.table.delete(context)?;
        self.ledger.remove_context(context.holds);
        Ok(())
    }
}

impl State {
    /// A call's answer in the guest's terms: a failure becomes an error that the guest holds, or a trap.
    fn answer<T>(&mut self, result: Result<T, Failure>) -> wasmtime::Result<Result<T, Resource<Failure>>> {
        let failure = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => failure,
        };
        tracing::debug!("wasi:nn refuses a guest's call: {:?}, {}", failure.code, failure.message);
        match failure.code {
            Code::Trap => Err(wasmtime::Error::msg(failure.message)),
            Code::Nn(_) => Ok(Err(self.table.push(failure)?)),
        }
    }

    fn find_graph(&mut self, name: &str) -> Result<Resource<Graph>, Failure> {
        check_name(name)?;
        let graph = self.graphs.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.graphs.keys().map(|known| format!("`{known}`")).collect();
            let message = format!("no graph `{}`; this guest may use {}", name.escape_debug(), known.join(", "));
            Failure::new(ErrorCode::NotFound, message)
        })?;
        Ok(self.table.push(Graph(graph))?)
    }

    fn open_context(&mut self, graph: &Resource<Graph>) -> Result<Resource<ExecutionContext>, Failure> {
        let graph = self.table.get(graph)?.0.clone();
        let holds = match graph.kind() {
            GraphKind::Decoder(_) => ContextKind::Decoder,
            GraphKind::Classifier(_) => ContextKind::Stateless,
        };
        self.ledger.add_context(holds).map_err(|exceeded| Failure::too_large(holds.name(), "contexts", exceeded))?;
        let context = graph.context().inspect_err(|_| self.ledger.remove_context(holds))?;
        let context = self.table.push(ExecutionContext { context, holds });
        Ok(context.inspect_err(|_| self.ledger.remove_context(holds))?)
    }

    /// Computes with tensors that are the host's from here on, whatever becomes of the call.
    fn compute_owned(
        &mut self,
        context: &Resource<ExecutionContext>,
        inputs: Vec<(String, Resource<Tensor>)>,
    ) -> Result<Vec<(String, Resource<Tensor>)>, Failure> {
        let inputs = inputs.into_iter().map(|(name, tensor)| Ok((name, self.take(tensor)?)));
        let inputs = inputs.collect::<Result<Vec<_>, ResourceTableError>>()?;
        let outputs = self.infer(context, &inputs)?;
        outputs.into_iter().map(|(name, tensor)| Ok((name, self.keep(tensor)?))).collect()
    }

    /// Whether a guest may keep a tensor; what is kept is counted.
    fn admit(&mut self, dimensions: &[u32], data: &[u8]) -> Result<(), Failure> {
        if dimensions.len() > MAX_RANK {
            let message = format!("a tensor has {} dimensions; at most {MAX_RANK} are allowed", dimensions.len());
            return Err(Failure::new(ErrorCode::InvalidArgument, message));
        }
        self.ledger.add_tensor(data.len() as u64).map_err(|exceeded| Failure::too_large("tensors", "bytes", exceeded))
    }

    /// Takes a tensor from the guest, and off its account.
    fn take(&mut self, tensor: Resource<Tensor>) -> Result<Tensor, ResourceTableError> {
        let tensor = self.table.delete(tensor)?;
        self.ledger.remove_tensor(tensor.data.len() as u64);
        Ok(tensor)
    }

    /// Gives an output to the guest, on its account.
    fn keep(&mut self, tensor: Tensor) -> Result<Resource<Tensor>, Failure> {
        self.admit(&tensor.dimensions, &tensor.data)?;
        Ok(self.table.push(tensor)?)
    }

    fn infer(
        &mut self,
        context: &Resource<ExecutionContext>,
        inputs: &[(String, Tensor)],
    ) -> Result<Vec<(String, Tensor)>, Failure> {
        let views = views(inputs)?;
        let context = self.table.get_mut(context)?;
        let (started, processor) = (Instant::now(), thread_time());
        let outputs = context.context.compute(&views);
        let processor = thread_time().saturating_sub(processor);
        self.clock.add_native(ComputeTime { wall: started.elapsed(), processor });
        self.clock.add_inference(context.context.inference());
        let outputs = outputs?.into_iter();
        Ok(outputs.map(|(name, output)| (name, Tensor::from(output))).collect())
    }
}

impl From<carafe_openvino::Tensor> for Tensor {
    fn from(output: carafe_openvino::Tensor) -> Self {
        let ty = match output.element {
            ElementType::U8 => TensorType::U8,
            ElementType::I32 => TensorType::I32,
            ElementType::F32 => TensorType::Fp32,
        };
        Self { dimensions: output.dims, ty, data: Arc::new(output.data), refused: None }
    }
}

/// What the checks see of a guest's tensors.
fn views(inputs: &[(String, Tensor)]) -> Result<Vec<(&str, TensorView<'_>)>, Failure> {
    if inputs.len() > MAX_INPUTS {
        let message = format!("a compute has {} inputs; at most {MAX_INPUTS} are allowed", inputs.len());
        return Err(Failure::new(ErrorCode::InvalidArgument, message));
    }
    inputs.iter().map(|(name, tensor)| Ok((name.as_str(), view(name, tensor)?))).collect()
}

fn view<'a>(name: &str, tensor: &'a Tensor) -> Result<TensorView<'a>, Failure> {
    check_name(name)?;
    if let Some(failure) = &tensor.refused {
        return Err(Failure {
            code: failure.code,
            message: format!("tensor `{}`: {}", name.escape_debug(), failure.message),
        });
    }
    let element = match tensor.ty {
        TensorType::U8 => ElementType::U8,
        TensorType::I32 => ElementType::I32,
        TensorType::Fp32 => ElementType::F32,
        TensorType::Fp16 | TensorType::Bf16 | TensorType::Fp64 | TensorType::I64 => {
            let (name, ty) = (name.escape_debug(), type_name(tensor.ty));
            let message = format!("tensor `{name}` has type {ty}; tensors here are u8, i32 or f32");
            return Err(Failure::new(ErrorCode::InvalidArgument, message));
        }
    };
    Ok(TensorView { dims: &tensor.dimensions, element, data: &tensor.data })
}

/// A tensor type as the specification writes it.
fn type_name(ty: TensorType) -> &'static str {
    match ty {
        TensorType::Fp16 => "FP16",
        TensorType::Fp32 => "FP32",
        TensorType::Fp64 => "FP64",
        TensorType::Bf16 => "BF16",
        TensorType::U8 => "U8",
        TensorType::I32 => "I32",
        TensorType::I64 => "I64",
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let message = format!("a name has {} bytes; names have at most {MAX_NAME}", name.len());
    Err(Failure::new(ErrorCode::InvalidArgument, message))
}
