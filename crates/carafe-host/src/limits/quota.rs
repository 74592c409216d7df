//! What the host keeps for a guest: tensors and contexts.

use super::Limits;

/// Counts what the host keeps for a guest.
#[derive(Debug)]
pub(crate) struct ResourceQuota {
    tensor_cap: u64,
    tensor_bytes: u64,
    context_cap: u32,
    contexts: u32,
    decoder_contexts: u32,
}

/// What a context keeps between computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextKind {
    /// Nothing.
    Stateless,
    /// A KV cache, of which a guest has one at a time.
    Decoder,
}

impl ContextKind {
    /// What is counted, for a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stateless => "execution contexts",
            Self::Decoder => "execution contexts with a KV cache",
        }
    }
}

/// Contexts with a KV cache that a guest holds at one time: the cache is the host's memory.
const MAX_DECODER_CONTEXTS: u32 = 1;

/// A cap that would be passed: the amount there would be, and the cap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaExceeded {
    pub(crate) wanted: u64,
    pub(crate) cap: u64,
}

impl ResourceQuota {
    /// A quota of which nothing is used.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tensor_cap: limits.tensor_bytes,
            tensor_bytes: 0,
            context_cap: limits.contexts,
            contexts: 0,
            decoder_contexts: 0,
        }
    }

    pub(crate) fn add_tensor(&mut self, bytes: u64) -> Result<(), QuotaExceeded> {
        let wanted = self.tensor_bytes.saturating_add(bytes);
        if wanted > self.tensor_cap {
            return Err(QuotaExceeded { wanted, cap: self.tensor_cap });
        }
        self.tensor_bytes = wanted;
        Ok(())
    }

    pub(crate) fn remove_tensor(&mut self, bytes: u64) {
        self.tensor_bytes = self.tensor_bytes.saturating_sub(bytes);
    }

    pub(crate) fn add_context(&mut self, kind: ContextKind) -> Result<(), QuotaExceeded> {
        let cap = self.context_cap;
        let (held, cap) = match kind {
            ContextKind::Stateless => (&mut self.contexts, cap),
            ContextKind::Decoder => (&mut self.decoder_contexts, cap.min(MAX_DECODER_CONTEXTS)),
        };
        if *held >= cap {
            return Err(QuotaExceeded { wanted: u64::from(*held) + 1, cap: cap.into() });
        }
        *held += 1;
        Ok(())
    }

    pub(crate) fn remove_context(&mut self, kind: ContextKind) {
        let held = match kind {
            ContextKind::Stateless => &mut self.contexts,
            ContextKind::Decoder => &mut self.decoder_contexts,
        };
        *held = held.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_refuses_what_passes_a_cap_and_forgets_what_is_given_back() {
        let mut quota = ResourceQuota::new(&Limits { tensor_bytes: 100, contexts: 2, ..Limits::default() });
        assert!(quota.add_tensor(60).is_ok());
        let exceeded = quota.add_tensor(41).expect_err("101 bytes");
        assert_eq!((exceeded.wanted, exceeded.cap), (101, 100));
        assert!(quota.add_tensor(u64::MAX).is_err());
        quota.remove_tensor(60);
        assert!(quota.add_tensor(100).is_ok());
        for (kind, cap) in [(ContextKind::Stateless, 2), (ContextKind::Decoder, 1)] {
            (0..cap).for_each(|_| assert!(quota.add_context(kind).is_ok()));
            let exceeded = quota.add_context(kind).expect_err("one too many");
            assert_eq!((exceeded.wanted, exceeded.cap), (cap + 1, cap));
            quota.remove_context(kind);
            assert!(quota.add_context(kind).is_ok());
        }
    }
}
