//! Rust made from `wit/`: the host side of wasi:nn, and the guests' worlds on top of it.
//!
//! Generated code only. The resources of wasi:nn are this crate's own types.
#![expect(missing_docs, reason = "generated; the documentation is in the WIT files")]

/// wasi:nn, which the host implements in `nn`.
pub(crate) mod ml {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "wasi:nn/ml@0.2.0-rc-2024-10-28",
        with: {
            "wasi:nn/graph.graph": crate::resources::Graph,
            "wasi:nn/tensor.tensor": crate::resources::Tensor,
            "wasi:nn/inference.graph-execution-context": crate::resources::ExecutionContext,
            "wasi:nn/errors.error": crate::resources::Failure,
        },
        imports: { default: trappable },
    });
}

/// The text guest's world.
pub(crate) mod text {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "carafe:guests/text",
        with: {
            "wasi:nn/errors": crate::bindings::ml::wasi::nn::errors,
            "wasi:nn/graph": crate::bindings::ml::wasi::nn::graph,
            "wasi:nn/inference": crate::bindings::ml::wasi::nn::inference,
            "wasi:nn/tensor": crate::bindings::ml::wasi::nn::tensor,
        },
        additional_derives: [PartialEq],
    });
}

/// The image guest's world.
pub(crate) mod image {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "carafe:guests/image",
        with: {
            "wasi:nn/errors": crate::bindings::ml::wasi::nn::errors,
            "wasi:nn/graph": crate::bindings::ml::wasi::nn::graph,
            "wasi:nn/inference": crate::bindings::ml::wasi::nn::inference,
            "wasi:nn/tensor": crate::bindings::ml::wasi::nn::tensor,
        },
        additional_derives: [PartialEq],
    });
}
