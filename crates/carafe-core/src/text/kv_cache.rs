//! Who has which blocks of the KV cache, and which full blocks can be shared.
//!
//! A sequence keeps its blocks in a [`BlockTable`]: entry `i` holds the tokens from `i *
//! block_size` on. A block that is full of computed tokens never changes again, so another sequence
//! that begins with the same tokens refers to it instead of computing it. Such blocks are found by
//! what they hold and by the block before them, compared token by token, for as long as a running
//! sequence refers to them. A block that is not full has one owner, and is never shared.
//!
//! A sequence is let in only if the blocks that it can come to need are free, those that running
//! sequences may still need not counted. So none ever waits for a block in the middle, and all of
//! them end. A worked example, blocks of 4 tokens, 8 of them:
//!
//! ```text
//! a  prompt of 6, at most 5 new   6 + 5 - 1 = 10 positions, 3 blocks: has 2, keeps 1 in reserve
//! b  the same prompt              shares block 0, needs 2 more
//! ```

use std::collections::BTreeMap;

use super::block_pool::{BlockId, BlockPool};

/// The blocks of one sequence.
#[derive(Debug, Default)]
pub(super) struct BlockTable {
    blocks: Vec<BlockId>,
    /// How many of the first are full and have been offered for sharing.
    num_offered: usize,
    /// How many blocks the sequence can come to need.
    max_blocks: usize,
}

impl BlockTable {
    /// The blocks, in the order of the sequence's tokens.
    pub(super) fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// Blocks that are kept in reserve.
    fn num_reserved(&self) -> usize {
        self.max_blocks.saturating_sub(self.blocks.len())
    }
}

/// What a full block holds: the block before it, and its own tokens.
type Content = (Option<BlockId>, Box<[u32]>);

/// The blocks of a KV cache and their contents.
#[derive(Debug)]
pub(super) struct KvCache {
    pool: BlockPool,
    block_size: usize,
    /// The full blocks that can be shared.
    full: BTreeMap<Content, BlockId>,
    /// Of each block, what it is found by.
    contents: Vec<Option<Content>>,
    /// Blocks that tables have in reserve.
    num_reserved: usize,
}

impl KvCache {
    /// An empty cache.
    pub(super) fn new(num_blocks: u32, block_size: u32) -> Self {
        Self {
            pool: BlockPool::new(num_blocks),
            block_size: block_size as usize,
            full: BTreeMap::new(),
            contents: vec![None; num_blocks as usize],
            num_reserved: 0,
        }
    }

    /// Tokens of a block.
    pub(super) fn block_size(&self) -> usize {
        self.block_size
    }

    /// Blocks that hold tokens of running sequences.
    pub(super) fn num_used(&self) -> usize {
        self.pool.num_used()
    }

    /// The blocks that hold the first of these tokens already, the last token left out, since its
    /// logits are wanted.
    pub(super) fn find_prefix(&self, tokens: &[u32]) -> Vec<BlockId> {
        let shareable = &tokens[..tokens.len().saturating_sub(1)];
        let mut found: Vec<BlockId> = Vec::new();
        for tokens in shareable.chunks_exact(self.block_size) {
            match self.full.get(&(found.last().copied(), tokens.into())) {
                Some(&block) => found.push(block),
                None => break,
            }
        }
        found
    }

    /// A table for a sequence that can come to hold `max_tokens`, which begins with the blocks of
    /// `prefix`; none without room for it.
    pub(super) fn open(&mut self, prefix: &[BlockId], max_tokens: usize) -> Option<BlockTable> {
        let max_blocks = max_tokens.div_ceil(self.block_size);
        let table = BlockTable { blocks: prefix.to_vec(), num_offered: prefix.len(), max_blocks };
        if self.num_reserved + table.num_reserved() > self.pool.num_free() {
            return None;
        }
        prefix.iter().for_each(|&block| self.pool.share(block));
        self.num_reserved += table.num_reserved();
        Some(table)
    }

    /// Gives a table the blocks for `num_tokens`, at most what it was opened for.
    pub(super) fn extend(&mut self, table: &mut BlockTable, num_tokens: usize) {
        let reserved = table.num_reserved();
        while table.blocks.len() < num_tokens.div_ceil(self.block_size) {
            // There is one: it was reserved when the table was opened.
            let Some(block) = self.pool.allocate() else { break };
            table.blocks.push(block);
        }
        self.num_reserved -= reserved - table.num_reserved();
    }

    /// Offers for sharing the blocks that `computed`, the tokens that the model has computed, have
    /// filled.
    pub(super) fn offer(&mut self, table: &mut BlockTable, computed: &[u32]) {
        let chunks = computed.chunks_exact(self.block_size).enumerate();
        for (index, tokens) in chunks.skip(table.num_offered) {
            let before = index.checked_sub(1).map(|index| table.blocks[index]);
            let (block, content) = (table.blocks[index], (before, Box::from(tokens)));
            if !self.full.contains_key(&content) {
                self.full.insert(content.clone(), block);
                self.contents[block as usize] = Some(content);
            }
            table.num_offered = index + 1;
        }
    }

    /// Takes a sequence's blocks back.
    pub(super) fn close(&mut self, table: &BlockTable) {
        self.num_reserved -= table.num_reserved();
        // The last first: no block stays findable after the one that it is found by.
        for &block in table.blocks.iter().rev() {
            if self.pool.release(block)
                && let Some(content) = self.contents[block as usize].take()
            {
                self.full.remove(&content);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_block_is_shared_while_somebody_refers_to_it() {
        let mut cache = KvCache::new(8, 4);
        let tokens: Vec<u32> = (0..10).collect();
        let mut first = cache.open(&[], 10).unwrap();
        cache.extend(&mut first, 10);
        cache.offer(&mut first, &tokens[..9]);
        assert_eq!(cache.find_prefix(&tokens), first.blocks()[..2]);
        assert_eq!(cache.find_prefix(&tokens[..8]), first.blocks()[..1], "the last token's logits are wanted");
        assert!(cache.find_prefix(&[&[9], &tokens[1..]].concat()).is_empty());
        let second = cache.open(&cache.find_prefix(&tokens), 10).unwrap();
        cache.close(&first);
        assert_eq!(cache.find_prefix(&tokens), second.blocks());
        cache.close(&second);
        assert_eq!((cache.find_prefix(&tokens), cache.num_used()), (vec![], 0));
    }

    #[test]
    fn what_running_sequences_may_need_is_kept_in_reserve() {
        let mut cache = KvCache::new(4, 4);
        let first = cache.open(&[], 9).unwrap();
        assert!(cache.open(&[], 5).is_none());
        let second = cache.open(&[], 4).unwrap();
        cache.close(&first);
        assert!(cache.open(&[], 12).is_some());
        cache.close(&second);
    }

    /// A sequence of the model below: its tokens, as many computed as it has blocks for.
    struct Model {
        table: BlockTable,
        tokens: Vec<u32>,
        num_computed: usize,
    }

    proptest! {
        #[test]
        fn blocks_are_shared_only_by_equal_tokens_and_all_come_back(
            actions in prop::collection::vec((any::<u8>(), prop::collection::vec(0u32..2, 1..20)), 1..60)
        ) {
            let mut cache = KvCache::new(12, 3);
            let mut running: Vec<Model> = Vec::new();
            for (choice, tokens) in actions {
                let index = choice as usize / 4;
                if choice % 4 == 0 {
                    let prefix = cache.find_prefix(&tokens);
                    let num_computed = prefix.len() * 3;
                    if let Some(table) = cache.open(&prefix, tokens.len()) {
                        running.push(Model { table, tokens, num_computed });
                    }
                } else if !running.is_empty() && choice % 4 < 3 {
                    let length = running.len();
                    let Model { table, tokens, num_computed } = &mut running[index % length];
                    let more = (*num_computed + 1 + index % 5).min(tokens.len());
                    cache.extend(table, more);
                    prop_assert!(table.blocks().len() * 3 >= more);
                    *num_computed = more;
                    cache.offer(table, &tokens[..more]);
                } else if !running.is_empty() {
                    let model = running.swap_remove(index % running.len());
                    cache.close(&model.table);
                }
                for (number, one) in running.iter().enumerate() {
                    for other in &running[..number] {
                        for (place, block) in one.table.blocks().iter().enumerate() {
                            if let Some(at) = other.table.blocks().iter().position(|shared| shared == block) {
                                let end = (place + 1) * 3;
                                prop_assert_eq!(at, place);
                                prop_assert!(end <= one.num_computed && end <= other.num_computed);
                                prop_assert_eq!(&one.tokens[..end], &other.tokens[..end]);
                            }
                        }
                    }
                }
            }
            running.iter().for_each(|model| cache.close(&model.table));
            prop_assert_eq!((cache.num_used(), cache.num_reserved, cache.full.len()), (0, 0, 0));
        }
    }
}
