//! `native/carafe_openvino.h` in Rust: the structures and functions of the native layer, and how
//! they are found in its file.
//!
//! A change of the header is one of this file and of both numbers: [`ABI`] here, `CARAFE_ABI`
//! there.

use std::ffi::{c_char, c_int, c_void};

use libloading::os::unix::Library;

/// The version of the interface.
pub(super) const ABI: u32 = 1;
/// The most dimensions of a port.
pub(super) const MAX_RANK: usize = 8;

/// An error's text, or null; to be freed by [`Functions::free`].
pub(super) type Text = *mut c_char;

/// The native layer's own structures, known by their address only.
pub(super) enum Model {}
pub(super) enum Graph {}
pub(super) enum Request {}

#[repr(C)]
pub(super) struct Port {
    pub(super) name: Text,
    pub(super) element: [c_char; 16],
    pub(super) rank: i64,
    pub(super) dims: [i64; MAX_RANK],
}

#[repr(C)]
pub(super) struct Input {
    pub(super) port: usize,
    pub(super) rank: usize,
    pub(super) dims: *const u32,
    pub(super) data: *const c_void,
    pub(super) bytes: usize,
}

#[repr(C)]
pub(super) struct Output {
    pub(super) element: [c_char; 16],
    pub(super) rank: i64,
    pub(super) dims: [i64; MAX_RANK],
    pub(super) data: *const c_void,
    pub(super) bytes: usize,
}

#[repr(C)]
pub(super) struct Cache {
    pub(super) layers: u64,
    pub(super) block_size: u64,
    pub(super) block_bytes: u64,
    pub(super) key_element: [c_char; 16],
    pub(super) value_element: [c_char; 16],
}

#[repr(C)]
pub(super) struct Property {
    pub(super) key: *const c_char,
    pub(super) value: *const c_char,
}

/// Declares the table of functions, and fills it from a library by the names in the header.
macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of a loaded native layer.
        pub(super) struct Functions {
            $($(#[$doc])* pub(super) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// Looks every function up.
            ///
            /// # Safety
            /// The library must be a native layer of this [`ABI`], and must never be unloaded.
            pub(super) unsafe fn find(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the caller vouches for the library; each type is that of the header.
                unsafe { Ok(Self { $($field: *library.get($symbol)?,)* }) }
            }
        }
    };
}

functions! {
    versions = b"carafe_versions\0": fn(*mut Text, *mut Text, *mut Text) -> Text;
    model_read = b"carafe_model_read\0": fn(*const c_char, *const c_char, *mut *mut Model) -> Text;
    model_page = b"carafe_model_page\0": fn(*mut Model) -> Text;
    model_compile = b"carafe_model_compile\0": fn(*mut Model, *const Property, usize, *mut *mut Graph) -> Text;
    model_free = b"carafe_model_free\0": fn(*mut Model);
    model_ports = b"carafe_model_ports\0": fn(*const Model, c_int, *mut usize) -> Text;
    model_port = b"carafe_model_port\0": fn(*const Model, c_int, usize, *mut Port) -> Text;
    graph_input = b"carafe_graph_input\0": fn(*const Graph, *const c_char, *mut usize) -> Text;
    graph_output = b"carafe_graph_output\0": fn(*const Graph, *const c_char, *mut usize) -> Text;
    graph_property = b"carafe_graph_property\0": fn(*const Graph, *const c_char, *mut Text) -> Text;
    graph_cache = b"carafe_graph_cache\0": fn(*const Graph, *mut Cache) -> Text;
    graph_free = b"carafe_graph_free\0": fn(*mut Graph);
    request_new = b"carafe_request_new\0": fn(*const Graph, u64, *mut *mut Request) -> Text;
    request_infer = b"carafe_request_infer\0": fn(*mut Request, *const Input, usize) -> Text;
    request_output = b"carafe_request_output\0": fn(*mut Request, usize, *mut Output) -> Text;
    request_free = b"carafe_request_free\0": fn(*mut Request);
    free = b"carafe_free\0": fn(Text);
}

/// Whether a library is a native layer whose interface is this one.
///
/// # Safety
/// The library's function `carafe_abi`, if it has one, must be that of a native layer of some
/// version: it has had this type from the first.
pub(super) unsafe fn is_compatible(library: &Library) -> bool {
    type Abi = unsafe extern "C" fn(usize, usize, usize, usize, usize) -> u32;
    // SAFETY: the caller vouches for the function's type; it reads nothing but its arguments.
    unsafe {
        library.get::<Abi>(b"carafe_abi\0").is_ok_and(|abi| {
            abi(size_of::<Port>(), size_of::<Input>(), size_of::<Output>(), size_of::<Cache>(), size_of::<Property>())
                == ABI
        })
    }
}
