//! What a tensor means.

use std::fmt;

/// What a tensor of a graph means.
///
/// The tensors of text graphs are called by their roles' names, which are those of optimum-intel's
/// exports and of OpenVINO's PagedAttention; image graphs name theirs as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Token ids, each below the size of the vocabulary.
    InputIds,
    /// Each token's position in its own sequence, below the context length.
    PositionIds,
    /// Which positions a row of a stateful graph may see; paging takes it away.
    AttentionMask,
    /// The row of the inference before that each row of a stateful graph continues; paging takes it
    /// away.
    BeamIdx,
    /// Tokens of each sequence that the KV cache holds already.
    PastLens,
    /// Where each sequence's tokens begin among all tokens of an inference; the last entry is their
    /// number.
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
