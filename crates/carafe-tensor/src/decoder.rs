//! The ports of a decoder, as its file has them and as it runs.
//!
//! A model's file holds a stateful graph, whose KV cache is inside it. When it is loaded,
//! OpenVINO's pass turns that cache into pages: the tokens of all sequences become one flat list,
//! and each sequence names the blocks that hold its keys and values (Kwon et al., "Efficient Memory
//! Management for Large Language Model Serving with PagedAttention", 2023).

use crate::{Dim, ElementType, Owner, Role};

/// An input or output of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it means.
    pub role: Role,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, outermost first; none for a single number.
    pub dims: &'static [Dim],
}

const fn i32(role: Role, dims: &'static [Dim]) -> Port {
    Port { role, element: ElementType::I32, dims }
}

/// What a model's file takes: B rows of S new positions, after P cached ones.
pub const STATEFUL_INPUTS: [Port; 5] = [
    i32(Role::InputIds, &[Dim::Batch, Dim::Step]),
    i32(Role::PositionIds, &[Dim::Batch, Dim::Step]),
    i32(Role::AttentionMask, &[Dim::Batch, Dim::Total]),
    i32(Role::BeamIdx, &[Dim::Batch]),
    i32(Role::LogitIdx, &[Dim::Logits]),
];

/// What an inference of a paged decoder takes: T tokens of B sequences with K blocks, and the N
/// tokens whose logits are wanted.
pub const DECODER_INPUTS: [Port; 8] = [
    i32(Role::InputIds, &[Dim::Tokens]),
    i32(Role::PositionIds, &[Dim::Tokens]),
    i32(Role::PastLens, &[Dim::Batch]),
    i32(Role::SubsequenceBegins, &[Dim::BatchAndEnd]),
    i32(Role::BlockIndices, &[Dim::Blocks]),
    i32(Role::BlockIndicesBegins, &[Dim::BatchAndEnd]),
    i32(Role::MaxContextLen, &[]),
    i32(Role::LogitIdx, &[Dim::Logits]),
];

/// Who sets an input of a paged decoder, by its name: `input_ids`, or `key_cache.3` of layer 3;
/// none for an unknown one.
#[must_use]
pub fn input_owner(name: &str) -> Option<Owner> {
    let cache = name.rsplit_once('.').filter(|(_, layer)| layer.parse::<u32>().is_ok());
    let role = match cache {
        Some((name, _)) => [Role::KeyCache, Role::ValueCache].into_iter().find(|role| role.name() == name),
        None => DECODER_INPUTS.iter().map(|port| port.role).find(|role| role.name() == name),
    };
    role.map(Role::owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_the_hosts_and_an_input_of_an_unknown_name_nobodys() {
        assert_eq!(input_owner("input_ids"), Some(Owner::Guest));
        assert_eq!(input_owner("key_cache.0"), Some(Owner::Host));
        assert_eq!(input_owner("value_cache.11"), Some(Owner::Host));
        for unknown in ["key_cache", "key_cache.", "key_cache.x", "input_ids.0", "rotation_deltas.0", ""] {
            assert_eq!(input_owner(unknown), None, "{unknown}");
        }
    }
}
