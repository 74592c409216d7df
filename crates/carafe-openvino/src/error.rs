//! What can go wrong, a variant for each thing that a caller can act on.
//!
//! OpenVINO's own words are the `source` of the variants that come from it: print the whole chain
//! to see them. [`Error::kind`] sorts the variants into the few classes that a caller's own error
//! codes need.

use std::path::PathBuf;

use crate::searched::{Lines, Searched};
use crate::shape::{Bound, Direction};
use crate::tensor::ElementType;

/// Everything that this crate refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No OpenVINO library in all of the search path.
    #[error("no OpenVINO library found; looked in{}\nhint: run `cargo xtask setup`, or set `CARAFE_OPENVINO` to `libopenvino.so` or to the folder of an OpenVINO 2025.1 or newer (archive, apt or pip)", Lines(.searched))]
    LibraryNotFound {
        /// The search path, in order.
        searched: Vec<Searched>,
    },
    /// A file was named that is no OpenVINO library by its name.
    #[error(
        "`{path}` is not the OpenVINO library: expected a file named like `libopenvino.so` or `libopenvino.so.2641`"
    )]
    NotTheLibrary {
        /// The file.
        path: PathBuf,
    },
    /// The system's loader refused the library.
    #[error("failed to load the OpenVINO library: {reason}")]
    LibraryRefused {
        /// The loader's words, which name the file.
        reason: String,
    },
    /// No native layer in all of the search path.
    #[error("the native layer of Carafe was not found; looked for{}\nhint: run `cargo xtask setup`, which builds it", Lines(.searched))]
    LayerNotFound {
        /// The search path, in order.
        searched: Vec<Searched>,
    },
    /// The native layer does not fit the OpenVINO that was found.
    #[error(
        "the native layer `{layer}` does not fit the OpenVINO at `{library}`: {reason}\nhint: run `cargo xtask setup`, which builds it for this OpenVINO"
    )]
    LayerRefused {
        /// The layer's file.
        layer: PathBuf,
        /// OpenVINO's.
        library: PathBuf,
        /// What differs, or the loader's words.
        reason: String,
    },
    /// A process can load one OpenVINO library only.
    #[error("cannot load the OpenVINO library `{asked}`: this process has already loaded `{loaded}`")]
    OtherLibraryLoaded {
        /// The one in use.
        loaded: PathBuf,
        /// The one asked for.
        asked: PathBuf,
    },
    /// A name that is no profile.
    #[error("unknown profile `{name}`, expected `auto`, `fast`, `latency` or `exact`")]
    UnknownProfile {
        /// The name given.
        name: String,
    },
    /// A name that is no precision of a KV cache.
    #[error("unknown precision `{name}` of a KV cache, expected `f32`, `f16`, `bf16` or `u8`")]
    UnknownPrecision {
        /// The name given.
        name: String,
    },
    /// A name that is no type of activations.
    #[error("unknown type `{name}` of activations, expected `auto` or `f32`")]
    UnknownActivations {
        /// The name given.
        name: String,
    },
    /// A KV cache of f32 or f16 beside activations of bf16, or of bf16 beside f32: the plugin has
    /// no kernels for it, or takes another precision without a word.
    #[error(
        "a KV cache of {cache} does not go with activations of {activations}, which profile `{profile}` has on this \
         processor; take a cache of {possible}, or another profile"
    )]
    CacheMismatch {
        /// The cache's precision.
        cache: &'static str,
        /// The activations' precision.
        activations: &'static str,
        /// The precisions that go with them.
        possible: &'static str,
        /// The profile, as it was resolved.
        profile: String,
    },
    /// The description of a graph contradicts itself or the rules of its task.
    #[error("the graph's description is wrong: {reason}")]
    InvalidSpec {
        /// What is wrong and what is expected.
        reason: String,
    },
    /// A graph's file is missing, or its path cannot be handed to OpenVINO.
    #[error("no readable file at `{path}` (its path must be UTF-8)")]
    FileNotFound {
        /// The path.
        path: PathBuf,
    },
    /// The model has a tensor wider than 32 bits at its border.
    #[error(
        "{direction} `{tensor}` of the model is {element}: at most 32 bits are allowed; convert the model again so that it is narrowed"
    )]
    TooWide {
        /// Input or output.
        direction: Direction,
        /// Its name.
        tensor: String,
        /// Its type.
        element: String,
    },
    /// The model lacks a tensor that its description names.
    #[error("the model has no {direction} `{tensor}`; it has {known}")]
    ModelLacks {
        /// Input or output.
        direction: Direction,
        /// The name looked for.
        tensor: String,
        /// The names that there are.
        known: String,
    },
    /// The model has a tensor that its description does not name.
    #[error("the model has an {direction} `{tensor}` that its description does not name")]
    ModelHasMore {
        /// Input or output.
        direction: Direction,
        /// Its name.
        tensor: String,
    },
    /// A tensor of the model has another type or shape than its description says.
    #[error("{direction} `{tensor}` of the model is {got}, its description says {expected}")]
    ModelDiffers {
        /// Input or output.
        direction: Direction,
        /// Its name.
        tensor: String,
        /// Type and shape in the description.
        expected: String,
        /// Type and shape in the model.
        got: String,
    },
    /// More threads were asked for than the plugin runs here.
    #[error("`--threads` must be 1 to {most}, what OpenVINO has on this machine's processors, got {asked}")]
    TooManyThreads {
        /// The number asked for.
        asked: u32,
        /// The most that there are, as OpenVINO says it.
        most: String,
    },
    /// The plugin runs with another setting than it was told.
    #[error("OpenVINO resolved `{property}` to `{got}`, expected `{expected}`")]
    PropertyChanged {
        /// The property's name.
        property: String,
        /// The value set.
        expected: String,
        /// The value read back.
        got: String,
    },
    /// A tensor was given under a name that the graph has no input for.
    #[error("unknown input `{tensor}`, expected {known}")]
    UnknownInput {
        /// The name, shortened when long.
        tensor: String,
        /// The inputs that there are.
        known: String,
    },
    /// An input was given twice.
    #[error("input `{tensor}` is given twice")]
    RepeatedInput {
        /// Its name.
        tensor: String,
    },
    /// An input was not given.
    #[error("input `{tensor}` is missing")]
    MissingInput {
        /// Its name.
        tensor: String,
    },
    /// The elements are of another type.
    #[error("input `{tensor}` is {got}, expected {expected}")]
    WrongElement {
        /// The input.
        tensor: String,
        /// The graph's type.
        expected: ElementType,
        /// The tensor's type.
        got: String,
    },
    /// Another number of dimensions.
    #[error("input `{tensor}` has {got} dimensions, expected {expected}")]
    WrongRank {
        /// The input.
        tensor: String,
        /// The graph's number.
        expected: usize,
        /// The tensor's number.
        got: usize,
    },
    /// A dimension of size 0.
    #[error("input `{tensor}` has size 0 in dimension {axis}, expected at least 1")]
    ZeroDimension {
        /// The input.
        tensor: String,
        /// The dimension, counted from 0.
        axis: usize,
    },
    /// A dimension that differs from the graph's, or from the other inputs'.
    #[error("input `{tensor}` has size {got} in dimension {axis}, expected {expected} ({letter})")]
    WrongDimension {
        /// The input.
        tensor: String,
        /// The dimension, counted from 0.
        axis: usize,
        /// What the dimension means: a letter of the graph's description.
        letter: String,
        /// The size that fits.
        expected: u32,
        /// The tensor's size.
        got: u32,
    },
    /// The dimensions multiply to more bytes than 64 bits can count.
    #[error("the dimensions of input `{tensor}` multiply to more than 64 bits hold")]
    SizeOverflow {
        /// The input.
        tensor: String,
    },
    /// The bytes do not fill the dimensions exactly.
    #[error("input `{tensor}` has {got} bytes, its dimensions need {expected}")]
    WrongLength {
        /// The input.
        tensor: String,
        /// The bytes that the dimensions make.
        expected: u64,
        /// The bytes given.
        got: u64,
    },
    /// More than one compute may ask for.
    #[error("a compute of {got} {bound} passes the model's limit of {limit}")]
    TooLarge {
        /// Which limit.
        bound: Bound,
        /// The limit.
        limit: u64,
        /// What was asked for.
        got: u64,
    },
    /// An index input points outside what it indexes.
    #[error("input `{tensor}` holds {got} at element {index}, expected 0 to {largest}")]
    ValueOutOfRange {
        /// The input.
        tensor: String,
        /// The first such element, counted from 0 over the whole tensor.
        index: usize,
        /// The largest value allowed here.
        largest: u32,
        /// The value found.
        got: i32,
    },
    /// An index input contradicts the others, or the cache.
    #[error("input `{tensor}` holds {got} at element {index}, expected {expected}")]
    Inconsistent {
        /// The input.
        tensor: String,
        /// The element, counted from 0.
        index: usize,
        /// What it is.
        got: String,
        /// What would fit the other inputs and the cache.
        expected: String,
    },
    /// An earlier compute of this context failed inside OpenVINO, so its state is unknown.
    #[error("this context is dead since an earlier compute failed; drop it and start another")]
    DeadContext,
    /// OpenVINO answered with a tensor that the graph's description does not allow.
    #[error("output `{tensor}` came back as {got}, expected {expected}")]
    WrongOutput {
        /// The output.
        tensor: String,
        /// Type, shape and bytes by the description.
        expected: String,
        /// Type, shape and bytes that came.
        got: String,
    },
    /// OpenVINO failed; the source says how in its own words.
    #[error("OpenVINO failed to {action}")]
    Native {
        /// What it was asked to do.
        action: String,
        /// Its words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The classes of errors that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller gave something that does not fit: mend the call.
    InvalidArgument,
    /// A file, library or tensor of the model is not there.
    NotFound,
    /// A limit was passed: ask for less.
    TooLarge,
    /// OpenVINO or the model failed: nothing about the call would mend it.
    Runtime,
}

impl Error {
    /// The class of this error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::LibraryNotFound { .. }
            | Self::LayerNotFound { .. }
            | Self::FileNotFound { .. }
            | Self::ModelLacks { .. } => ErrorKind::NotFound,
            Self::SizeOverflow { .. } | Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::LibraryRefused { .. }
            | Self::LayerRefused { .. }
            | Self::OtherLibraryLoaded { .. }
            | Self::TooWide { .. }
            | Self::ModelHasMore { .. }
            | Self::ModelDiffers { .. }
            | Self::PropertyChanged { .. }
            | Self::DeadContext
            | Self::WrongOutput { .. }
            | Self::Native { .. } => ErrorKind::Runtime,
            _ => ErrorKind::InvalidArgument,
        }
    }

    /// Wraps what OpenVINO said while it was asked to do `action`.
    pub(crate) fn native<E>(action: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Native { action: action.into(), source: Box::new(source) }
    }
}
