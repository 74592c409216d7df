//! What a tensor means.

use std::fmt;

use crate::DECODER_INPUTS;

/// What a tensor of a graph means.
///
/// The tensors of text graphs are called by their roles' names, which are those of optimum-intel's exports and of OpenVINO's
/// PagedAttention; image graphs name theirs as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Token ids, each below the size of the vocabulary.
    InputIds,
    /// Each token's position in its own sequence, below the context length.
    PositionIds,
    /// Which positions a row of a stateful graph may see; paging takes it away.
    AttentionMask,
    /// The row of the inference before that each row of a stateful graph continues; paging takes it away.
    BeamIdx,
    /// Tokens of each sequence that the KV cache holds already.
    PastLens,
    /// Where each sequence's tokens begin among all tokens of an inference; the last entry is their number.
    SubsequenceBegins,
    /// The blocks of all sequences, those of the past and those of new tokens.
    BlockIndices,
    /// Where each sequence's blocks begin in `block_indices`; the last entry is their number.
    BlockIndicesBegins,
    /// The largest number of past and new tokens of any sequence.
    MaxContextLen,
    /// The tokens of an inference, counted from 0 over all sequences, whose logits are wanted.
    LogitIdx,
    /// A score for each token of the vocabulary.
    Logits,
    /// The keys of a layer of the KV cache.
    KeyCache,
    /// The values of a layer of the KV cache.
    ValueCache,
    /// An image.
    Pixels,
    /// A score for each label.
    Scores,
}

/// Who sets a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A guest sends or receives it, through wasi:nn.
    Guest,
    /// The host alone sees it.
    Host,
}

impl Role {
    /// The name of the tensor in text graphs; of others, a name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InputIds => "input_ids",
            Self::PositionIds => "position_ids",
            Self::AttentionMask => "attention_mask",
            Self::BeamIdx => "beam_idx",
            Self::PastLens => "past_lens",
            Self::SubsequenceBegins => "subsequence_begins",
            Self::BlockIndices => "block_indices",
            Self::BlockIndicesBegins => "block_indices_begins",
            Self::MaxContextLen => "max_context_len",
            Self::LogitIdx => "logit_idx",
            Self::Logits => "logits",
            Self::KeyCache => "key_cache",
            Self::ValueCache => "value_cache",
            Self::Pixels => "pixels",
            Self::Scores => "scores",
        }
    }

    /// The role of a port of a paged graph, by its name: `input_ids`, or `key_cache.3` of layer 3.
    #[must_use]
    pub fn of_port(name: &str) -> Option<Self> {
        let cache = name.rsplit_once('.').filter(|(_, layer)| layer.parse::<u32>().is_ok());
        match cache {
            Some((name, _)) => [Self::KeyCache, Self::ValueCache].into_iter().find(|role| role.name() == name),
            None => DECODER_INPUTS.iter().map(|port| port.role).find(|role| role.name() == name),
        }
    }

    /// Who sets a tensor of this role in a graph that Carafe runs.
    #[must_use]
    pub const fn owner(self) -> Owner {
        match self {
            Self::KeyCache | Self::ValueCache => Owner::Host,
            _ => Owner::Guest,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_cache_is_the_hosts_and_one_of_an_unknown_name_nobodys() {
        let owner = |name| Role::of_port(name).map(Role::owner);
        assert_eq!(owner("input_ids"), Some(Owner::Guest));
        assert_eq!(owner("key_cache.0"), Some(Owner::Host));
        assert_eq!(owner("value_cache.11"), Some(Owner::Host));
        for unknown in ["key_cache", "key_cache.", "key_cache.x", "input_ids.0", "rotation_deltas.0", ""] {
            assert_eq!(owner(unknown), None, "{unknown}");
        }
    }
}
