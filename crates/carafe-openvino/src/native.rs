//! The native layer: OpenVINO behind a C interface of our own (`native/carafe_openvino.h`), made
//! safe to call.
//!
//! - [`Native`]: OpenVINO and the layer, loaded once a process and never unloaded
//! - [`Model`]: a graph as it was read; [`Graph`]: compiled; [`Request`]: one inference at a time
//!
//! Every handle is used by one thread at a time (`&mut`, or behind a lock), texts are copied and
//! freed here, and the bytes of an output are borrowed from the request that gave them. What
//! tensors mean is not known here: [`mod@crate::check`] has seen them before they come.
#![expect(unsafe_code, reason = "calls the native layer; invariant 8 of ARCHITECTURE.md names this module")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::error::Error;
use crate::shape::Direction;
use crate::tensor::TensorView;
use interface::{Functions, Text};

mod interface;

/// OpenVINO's words for what went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NativeError(String);

type Result<T> = std::result::Result<T, NativeError>;

/// The loaded layer.
pub(crate) struct Native {
    functions: Functions,
    /// The version that OpenVINO itself gives: `2026.4.1-…`.
    pub(crate) version: String,
    /// The layer's file.
    pub(crate) layer: PathBuf,
}

impl Native {
    /// Loads OpenVINO from `library` and then the layer that was built for it.
    pub(crate) fn load(
        library: &Path,
        find_layer: impl FnOnce() -> std::result::Result<PathBuf, Error>,
    ) -> std::result::Result<&'static Self, Error> {
        open(library).map_err(|reason| Error::LibraryRefused { reason })?;
        let layer = &find_layer()?;
        let loaded = open(layer).map_err(|reason| refused(layer, library, reason))?;
        // SAFETY: only a native layer has a function of this name.
        if !unsafe { interface::is_compatible(loaded) } {
            return Err(refused(layer, library, "its interface is that of another version of Carafe".to_owned()));
        }
        // SAFETY: the layer's interface is this one, and it was leaked, so it is never unloaded.
        let functions = unsafe { Functions::find(loaded) };
        let functions = functions.map_err(|error| refused(layer, library, error.to_string()))?;
        let native = Box::leak(Box::new(Self { functions, version: String::new(), layer: layer.clone() }));
        native.version = native.check_versions(library, layer)?;
        Ok(native)
    }

    /// OpenVINO's version, if it is the one that the layer was built for, from the file that was
    /// asked for.
    fn check_versions(&self, library: &Path, layer: &Path) -> std::result::Result<String, Error> {
        let mut texts = [ptr::null_mut(); 3];
        let [built_for, running, file] = &mut texts;
        // SAFETY: all three are places for a text.
        let failed = unsafe { (self.functions.versions)(built_for, running, file) };
        self.checked(failed).map_err(|error| refused(layer, library, error.to_string()))?;
        let [built_for, running, file] = texts.map(|text| self.take(text));
        let file = PathBuf::from(file);
        if file.canonicalize().ok() != library.canonicalize().ok() {
            let reason = format!("it runs on the OpenVINO at `{}`", file.display());
            return Err(refused(layer, library, reason));
        }
        if running.split('-').next() != Some(&*built_for) {
            return Err(refused(layer, library, format!("it was built for {built_for}, and this is {running}")));
        }
        Ok(running)
    }

    /// An error's text as an error; null is none.
    fn checked(&self, text: Text) -> Result<()> {
        if text.is_null() { Ok(()) } else { Err(NativeError(self.take(text))) }
    }

    /// A text of the layer as a string of ours.
    fn take(&self, text: Text) -> String {
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the layer gave a text that ends with a NUL and is ours to free, once, after it
        // was copied.
        unsafe {
            let copied = CStr::from_ptr(text).to_string_lossy().into_owned();
            (self.functions.free)(text);
            copied
        }
    }
}

fn refused(layer: &Path, library: &Path, reason: String) -> Error {
    Error::LayerRefused { layer: layer.to_owned(), library: library.to_owned(), reason }
}

/// Opens a library for the rest of the process: OpenVINO's threads may outlive whatever would close
/// it.
fn open(path: &Path) -> std::result::Result<&'static Library, String> {
    // SAFETY: initialisers of a library run here. The path is that of OpenVINO or of the native
    // layer, which are trusted.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
    Ok(Box::leak(Box::new(library)))
}

/// An input or output as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// OpenVINO's name of the element type: `i32`.
    pub(crate) element: String,
    /// `None` where even the number of dimensions is open; of one dimension likewise.
    pub(crate) dims: Option<Vec<Option<u64>>>,
}

/// A graph that was read from its files and not compiled yet.
pub(crate) struct Model {
    native: &'static Native,
    handle: NonNull<interface::Model>,
}

// SAFETY: a model is not tied to the thread that made it; it is only used through `&mut` or by one
// owner.
unsafe impl Send for Model {}

impl Model {
    pub(crate) fn read(native: &'static Native, xml: &str, bin: &str) -> Result<Self> {
        let (xml, bin) = (c_string(xml)?, c_string(bin)?);
        let handle = native.made(|handle| {
            // SAFETY: two texts and a place for the handle.
            unsafe { (native.functions.model_read)(xml.as_ptr(), bin.as_ptr(), handle) }
        })?;
        Ok(Self { native, handle })
    }

    /// Inputs or outputs, in the model's order.
    pub(crate) fn ports(&self, direction: Direction) -> Result<Vec<Port>> {
        let side = c_int::from(direction == Direction::Output);
        let mut count = 0;
        // SAFETY: the handle is alive, and `count` a place for a number.
        let failed = unsafe { (self.native.functions.model_ports)(self.handle.as_ptr(), side, &raw mut count) };
        self.native.checked(failed)?;
        (0..count).map(|index| self.port(side, index)).collect()
    }

    fn port(&self, side: c_int, index: usize) -> Result<Port> {
        let mut port =
            interface::Port { name: ptr::null_mut(), element: [0; 16], rank: -1, dims: [-1; interface::MAX_RANK] };
        // SAFETY: the handle is alive, and `port` a place for a port.
        let failed = unsafe { (self.native.functions.model_port)(self.handle.as_ptr(), side, index, &raw mut port) };
        self.native.checked(failed)?;
        Ok(Port { name: self.native.take(port.name), element: name(&port.element), dims: dims(port.rank, &port.dims) })
    }

    /// Turns the KV cache into pages.
    pub(crate) fn page(&mut self) -> Result<()> {
        // SAFETY: the handle is alive.
        let failed = unsafe { (self.native.functions.model_page)(self.handle.as_ptr()) };
        self.native.checked(failed)
    }

    /// Compiles the model under these properties.
    pub(crate) fn compile(self, properties: &[(&str, String)]) -> Result<Graph> {
        let texts = properties.iter().map(|(key, value)| Ok((c_string(key)?, c_string(value)?)));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let properties: Vec<interface::Property> =
            texts.iter().map(|(key, value)| interface::Property { key: key.as_ptr(), value: value.as_ptr() }).collect();
        let native = self.native;
        let handle = native.made(|handle| {
            // SAFETY: the handle is alive, and so are the properties, which are as many as is said.
            unsafe {
                let (first, count) = (properties.as_ptr(), properties.len());
                (native.functions.model_compile)(self.handle.as_ptr(), first, count, handle)
            }
        })?;
        Ok(Graph { native, handle })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and freed once.
        unsafe { (self.native.functions.model_free)(self.handle.as_ptr()) }
    }
}

/// The KV cache of a paged model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cache {
    /// Layers, each with keys and values.
    pub(crate) layers: u64,
    /// Tokens of a block.
    pub(crate) block_size: u64,
    /// Bytes of a block over all layers, keys and values.
    pub(crate) block_bytes: u64,
    /// OpenVINO's names of the element types.
    pub(crate) key_element: String,
    pub(crate) value_element: String,
}

/// A compiled model.
pub(crate) struct Graph {
    native: &'static Native,
    handle: NonNull<interface::Graph>,
}

// SAFETY: a compiled model is not tied to the thread that made it.
unsafe impl Send for Graph {}

impl Graph {
    /// The number of an input or output, by its name.
    pub(crate) fn port(&self, direction: Direction, name: &str) -> Result<usize> {
        let functions = &self.native.functions;
        let look_up = match direction {
            Direction::Input => functions.graph_input,
            Direction::Output => functions.graph_output,
        };
        let name = c_string(name)?;
        let mut port = 0;
        // SAFETY: the handle is alive; a text, and a place for a number.
        let failed = unsafe { look_up(self.handle.as_ptr(), name.as_ptr(), &raw mut port) };
        self.native.checked(failed)?;
        Ok(port)
    }

    /// What a property was resolved to.
    pub(crate) fn property(&self, key: &str) -> Result<String> {
        let key = c_string(key)?;
        let mut value = ptr::null_mut();
        // SAFETY: the handle is alive; a text, and a place for one.
        let failed =
            unsafe { (self.native.functions.graph_property)(self.handle.as_ptr(), key.as_ptr(), &raw mut value) };
        self.native.checked(failed)?;
        Ok(self.native.take(value))
    }

    /// The layout of a paged model's KV cache.
    pub(crate) fn cache(&self) -> Result<Cache> {
        let mut cache =
            interface::Cache { layers: 0, block_size: 0, block_bytes: 0, key_element: [0; 16], value_element: [0; 16] };
        // SAFETY: the handle is alive, and `cache` a place for a layout.
        let failed = unsafe { (self.native.functions.graph_cache)(self.handle.as_ptr(), &raw mut cache) };
        self.native.checked(failed)?;
        let interface::Cache { layers, block_size, block_bytes, key_element, value_element } = cache;
        let (key_element, value_element) = (name(&key_element), name(&value_element));
        Ok(Cache { layers, block_size, block_bytes, key_element, value_element })
    }

    /// A request with fresh state: a zeroed KV cache of this many blocks, or none for a graph that
    /// is not paged.
    pub(crate) fn request(&self, num_blocks: u32) -> Result<Request> {
        let native = self.native;
        let handle = native.made(|handle| {
            // SAFETY: the handle is alive, and `handle` a place for one.
            unsafe { (native.functions.request_new)(self.handle.as_ptr(), num_blocks.into(), handle) }
        })?;
        Ok(Request { native, handle })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and freed once; requests keep what they need of it.
        unsafe { (self.native.functions.graph_free)(self.handle.as_ptr()) }
    }
}

/// One inference at a time, with the state that it keeps.
pub(crate) struct Request {
    native: &'static Native,
    handle: NonNull<interface::Request>,
}

// SAFETY: a request is not tied to the thread that made it, and is used by `&mut` alone.
unsafe impl Send for Request {}

/// An output, borrowed from its request.
pub(crate) struct Output<'a> {
    /// OpenVINO's name of the element type.
    pub(crate) element: String,
    pub(crate) dims: Vec<u64>,
    pub(crate) data: &'a [u8],
}

impl Request {
    /// Copies the inputs, each with the number of its port, and infers.
    pub(crate) fn infer(&mut self, inputs: &[(usize, TensorView<'_>)]) -> Result<()> {
        let inputs: Vec<interface::Input> = inputs
            .iter()
            .map(|(port, view)| interface::Input {
                port: *port,
                rank: view.dims.len(),
                dims: view.dims.as_ptr(),
                data: view.data.as_ptr().cast::<c_void>(),
                bytes: view.data.len(),
            })
            .collect();
        // SAFETY: the handle is alive. The layer compares the bytes with the dimensions before it
        // copies them.
        let failed =
            unsafe { (self.native.functions.request_infer)(self.handle.as_ptr(), inputs.as_ptr(), inputs.len()) };
        self.native.checked(failed)
    }

    /// An output of the latest inference.
    pub(crate) fn output(&mut self, port: usize) -> Result<Output<'_>> {
        let mut output = interface::Output {
            element: [0; 16],
            rank: -1,
            dims: [-1; interface::MAX_RANK],
            data: ptr::null(),
            bytes: 0,
        };
        // SAFETY: the handle is alive, and `output` a place for an output.
        let failed = unsafe { (self.native.functions.request_output)(self.handle.as_ptr(), port, &raw mut output) };
        self.native.checked(failed)?;
        let data = if output.bytes == 0 {
            &[][..]
        } else {
            // SAFETY: the bytes stand until the next inference, and that needs the request that is
            // borrowed here.
            unsafe { std::slice::from_raw_parts(output.data.cast::<u8>(), output.bytes) }
        };
        let dims = dims(output.rank, &output.dims).unwrap_or_default();
        Ok(Output {
            element: name(&output.element),
            dims: dims.into_iter().map(Option::unwrap_or_default).collect(),
            data,
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and freed once.
        unsafe { (self.native.functions.request_free)(self.handle.as_ptr()) }
    }
}

impl Native {
    /// A handle that the layer makes.
    fn made<T>(&self, make: impl FnOnce(*mut *mut T) -> Text) -> Result<NonNull<T>> {
        let mut handle = ptr::null_mut();
        self.checked(make(&raw mut handle))?;
        NonNull::new(handle).ok_or_else(|| NativeError("no error and no result".to_owned()))
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| NativeError(format!("`{}` holds a NUL", text.escape_debug())))
}

/// A short name in an array that a NUL ends.
fn name(array: &[c_char]) -> String {
    array.iter().map_while(|&letter| (letter != 0).then_some(char::from(letter.cast_unsigned()))).collect()
}

fn dims(rank: i64, dims: &[i64]) -> Option<Vec<Option<u64>>> {
    let rank = usize::try_from(rank).ok()?;
    Some(dims.iter().take(rank).map(|&size| u64::try_from(size).ok()).collect())
}
