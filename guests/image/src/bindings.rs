//! Rust made from `wit/`, and the export of this guest: generated code only.
#![expect(unsafe_code, reason = "wit-bindgen's code for the canonical ABI")]

use crate::Component;

wit_bindgen::generate!({ world: "image", path: "../../wit", generate_all });

export!(Component with_types_in self);
