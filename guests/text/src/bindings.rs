//! Rust made from `wit/`, and the export of this guest: generated code only.
#![expect(unsafe_code, reason = "wit-bindgen's code for the canonical ABI")]

use crate::Text;

wit_bindgen::generate!({ world: "text", path: "../../wit", generate_all });

export!(Text with_types_in self);
