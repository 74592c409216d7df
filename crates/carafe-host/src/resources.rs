//! The resources of wasi:nn as the host keeps them: what stands behind a guest's handles.
#![expect(unreachable_pub, reason = "the generated bindings re-export these types as the resources of wasi:nn")]

use std::fmt;
use std::sync::Arc;

use carafe_openvino::{ElementType, ErrorKind};
use carafe_tensor::error_chain;
use wasmtime::component::ResourceTableError;

use crate::limits::{ContextKind, QuotaExceeded};

/// A graph that a guest has named.
pub struct Graph(pub(crate) carafe_openvino::Graph);

/// A graph's execution context: its state between computes, which is a decoder's KV cache.
pub struct ExecutionContext {
    pub(crate) context: carafe_openvino::Context,
    pub(crate) kind: ContextKind,
}

/// A tensor that a guest made or a compute answered.
pub struct Tensor {
    pub(crate) dimensions: Vec<u32>,
    pub(crate) ty: TensorType,
    /// Shared, so that handing it to a guest is one copy, into the guest's own memory.
    pub(crate) data: Arc<Vec<u8>>,
    /// wasi:nn's constructor cannot fail; a tensor that may not be kept is kept without its data,
    /// and its use is refused.
    pub(crate) refused: Option<Failure>,
}

/// The element types that wasi:nn has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TensorType {
    /// One that graphs here take.
    Known(ElementType),
    /// Another one, as the specification writes it.
    Foreign(&'static str),
}

impl From<carafe_openvino::Tensor> for Tensor {
    fn from(output: carafe_openvino::Tensor) -> Self {
        let ty = TensorType::Known(output.element);
        Self { dimensions: output.dims, ty, data: Arc::new(output.data), refused: None }
    }
}

/// Why a call failed: a code of the specification, and words.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// The codes of wasi:nn that this host uses, and a trap for what has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument,
    NotFound,
    TooLarge,
    Runtime,
    Security,
    Trap,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn too_large(what: &str, unit: &str, exceeded: QuotaExceeded) -> Self {
        let QuotaExceeded { wanted, cap } = exceeded;
        Self::new(Code::TooLarge, format!("{what} would come to {wanted} {unit}; a guest may keep {cap}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<carafe_openvino::Error> for Failure {
    fn from(error: carafe_openvino::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidArgument => Code::InvalidArgument,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::TooLarge => Code::TooLarge,
            ErrorKind::Runtime => Code::Runtime,
        };
        // OpenVINO's own words are the last of the chain.
        Self::new(code, error_chain(&error))
    }
}

/// A handle that does not exist, or one too many: the guest is broken, and stops.
impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self::new(Code::Trap, error.to_string())
    }
}
