//! What can go wrong between a caller and a guest.

use crate::bindings::image::exports::carafe::guests::classification::Error as ImageError;
use crate::bindings::text::exports::carafe::guests::generation::RequestError;

/// An error of this crate. Its text says what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// wasmtime cannot run here, or refuses a component.
    #[error("the WebAssembly engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread could not be started.
    #[error("failed to start a thread")]
    Thread(#[source] std::io::Error),
    /// A model folder is not what it should be.
    #[error(transparent)]
    Model(#[from] carafe_models::Error),
    /// OpenVINO failed, or refused a graph.
    #[error(transparent)]
    OpenVino(#[from] carafe_openvino::Error),
    /// The memory of the KV cache does not hold one full context.
    #[error(
        "the KV cache of `{model}` may have {size} bytes, and one full context of {context_length} tokens needs {needed}\nhint: give it more with `--kv-cache`, or serve a shorter context with `--context-length`"
    )]
    KvCache {
        /// The model's name.
        model: String,
        /// Bytes that it may have.
        size: u64,
        /// Tokens of a full context.
        context_length: u32,
        /// Bytes of a full context.
        needed: u64,
    },
    /// A longer context was asked for than the model has.
    #[error("`{model}` has a context of {most} tokens; `--context-length` is {asked}")]
    ContextLength {
        /// The model's name.
        model: String,
        /// Tokens that were asked for.
        asked: u32,
        /// Tokens that the model has.
        most: u32,
    },
    /// The guest refused the model or its files, in its own words.
    #[error("the guest cannot open `{model}`: {message}")]
    Open {
        /// Name of the model or file.
        model: String,
        /// The guest's words.
        message: String,
    },
    /// The guest refused a request.
    #[error("{}", .0.message)]
    Request(RequestError),
    /// The guest refused an image.
    #[error("{}", .0.message())]
    Image(ImageError),
    /// The guest refused a text or token ids.
    #[error("{0}")]
    Tokenization(String),
    /// The guest crashed, ran out of memory or used up its time; it is replaced before the next
    /// call.
    #[error("the guest failed and was replaced: {0}")]
    Trap(String),
    /// The model's thread has ended.
    #[error("the model has been stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(error.into())
    }
}
