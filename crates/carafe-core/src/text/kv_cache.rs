//! Who has which blocks of the KV cache, and which full blocks can be shared.
//!
//! A sequence keeps its blocks in a [`BlockTable`]: entry `i` holds the tokens from `i *
//! block_size` on. A block that is full of computed tokens never changes again, so another sequence
//! that begins with the same tokens refers to it instead of computing it: a prefix-cache hit. A
//! block that is not full has one owner, and is never shared.
//!
//! A full block is found by its own tokens, compared one by one, and by what comes before them: the
//! content of another block, or nothing, in which case the salt decides who finds it. Every content
//! has a number of its own that is never used again, so a chain of blocks is compared by its last
//! link, and no two chains can be taken for one another, as two hashes could be.
//!
//! A block whose last sequence has ended keeps its content until its memory is needed, the least
//! recently used first (`block_pool`); of a sequence's blocks that is the last one, so that what
//! stays can be found. A worked example, blocks of 4 tokens, one salt:
//!
//! ```text
//! a  0 1 2 3 | 4 5 6 7 | 8 9      content 1 after nothing, content 2 after 1; the third is not full
//! b  0 1 2 3 | 4 5 6 9 | 7        refers to a's first block, and has content 3 after 1
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block_pool::{BlockId, BlockPool};

/// The number of a content.
type ContentId = u64;

/// What comes before the tokens of a full block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    /// Nothing: who finds the block has this salt.
    Nothing(u64),
    /// The tokens of another block, and what comes before those.
    Content(ContentId),
}

/// What a full block holds, and what it is found by.
type Content = (Before, Arc<[u32]>);

/// A block that can be found.
#[derive(Debug, Clone, Copy)]
struct Found {
    block: BlockId,
    content: ContentId,
}

/// The blocks that hold the first tokens of a sequence already.
#[derive(Debug)]
pub(super) struct Prefix {
    blocks: Vec<BlockId>,
    end: Before,
}

impl Prefix {
    /// No block, for who has this salt.
    pub(super) fn empty(salt: u64) -> Self {
        Self { blocks: Vec::new(), end: Before::Nothing(salt) }
    }

    /// How many blocks there are.
    pub(super) fn num_blocks(&self) -> usize {
        self.blocks.len()
    }
}

/// The blocks of one sequence.
#[derive(Debug)]
pub(super) struct BlockTable {
    blocks: Vec<BlockId>,
    /// How many of the first are full and have been offered for sharing.
    num_offered: usize,
    /// What comes before the tokens after those.
    end: Before,
}

impl BlockTable {
    /// The blocks, in the order of the sequence's tokens.
    pub(super) fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }
}

/// The blocks of a KV cache and their contents.
#[derive(Debug)]
pub(super) struct KvCache {
    pool: BlockPool,
    block_size: usize,
    /// The full blocks that can be found.
    found: BTreeMap<Content, Found>,
    /// Of each block, what it is found by.
    contents: Vec<Option<Content>>,
    /// Blocks that nobody refers to and that can be found.
    num_cached: usize,
    next_content: ContentId,
}

impl KvCache {
    /// An empty cache.
    pub(super) fn new(num_blocks: u32, block_size: u32) -> Self {
        Self {
            pool: BlockPool::new(num_blocks),
            block_size: block_size as usize,
            found: BTreeMap::new(),
            contents: vec![None; num_blocks as usize],
            num_cached: 0,
            next_content: 0,
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

    /// Blocks that no running sequence refers to, and that hold tokens which can be found.
    pub(super) fn num_cached(&self) -> usize {
        self.num_cached
    }

    /// How many blocks a table lacks for so many tokens.
    pub(super) fn num_missing(&self, table: &BlockTable, num_tokens: usize) -> usize {
        num_tokens.div_ceil(self.block_size).saturating_sub(table.blocks.len())
    }

    /// Whether so many blocks can be had.
    pub(super) fn has_room(&self, num_blocks: usize) -> bool {
        num_blocks <= self.pool.num_free()
    }

    /// The blocks that hold the first of these tokens already, the last token left out, since its
    /// logits are wanted.
    pub(super) fn find_prefix(&self, salt: u64, tokens: &[u32]) -> Prefix {
        let mut prefix = Prefix::empty(salt);
        let shareable = &tokens[..tokens.len().saturating_sub(1)];
        for tokens in shareable.chunks_exact(self.block_size) {
            let Some(found) = self.found.get(&(prefix.end, tokens.into())) else { break };
            prefix.blocks.push(found.block);
            prefix.end = Before::Content(found.content);
        }
        prefix
    }

    /// A table that begins with the blocks of `prefix` and has those for `num_tokens`; none unless
    /// `headroom` blocks stay free then.
    pub(super) fn open(&mut self, prefix: Prefix, num_tokens: usize, headroom: usize) -> Option<BlockTable> {
        let Prefix { blocks, end } = prefix;
        let taken = blocks.iter().filter(|&&block| self.pool.is_free(block)).count();
        let mut table = BlockTable { num_offered: blocks.len(), blocks, end };
        if !self.has_room(self.num_missing(&table, num_tokens) + taken + headroom) {
            return None;
        }
        self.num_cached -= taken;
        table.blocks.iter().for_each(|&block| self.pool.share(block));
        self.extend(&mut table, num_tokens);
        Some(table)
    }

    /// Gives a table the blocks for `num_tokens`, for which there must be room.
    pub(super) fn extend(&mut self, table: &mut BlockTable, num_tokens: usize) {
        let missing = (0..self.num_missing(table, num_tokens)).map_while(|_| self.pool.allocate());
        for block in missing.collect::<Vec<_>>() {
            if let Some(content) = self.contents[block as usize].take() {
                self.found.remove(&content);
                self.num_cached -= 1;
            }
            table.blocks.push(block);
        }
    }

    /// Offers for sharing the blocks that `computed`, the tokens that the model has computed, have
    /// filled.
    pub(super) fn offer(&mut self, table: &mut BlockTable, computed: &[u32]) {
        let chunks = computed.chunks_exact(self.block_size).enumerate();
        for (index, tokens) in chunks.skip(table.num_offered) {
            let content: Content = (table.end, tokens.into());
            // Another sequence may have computed the same; what follows is found after either.
            let found = self.found.entry(content.clone()).or_insert_with(|| {
                self.next_content += 1;
                self.contents[table.blocks[index] as usize] = Some(content);
                Found { block: table.blocks[index], content: self.next_content }
            });
            table.end = Before::Content(found.content);
            table.num_offered = index + 1;
        }
    }

    /// Takes a sequence's blocks back.
    pub(super) fn close(&mut self, table: &BlockTable) {
        // The last first: it is the first whose memory is used again.
        for &block in table.blocks.iter().rev() {
            let is_found = self.contents[block as usize].is_some();
            self.pool.release(block, is_found);
            self.num_cached += usize::from(is_found && self.pool.is_free(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(cache: &KvCache, salt: u64, tokens: &[u32]) -> Vec<BlockId> {
        cache.find_prefix(salt, tokens).blocks
    }

    /// A table for all of the tokens, which are then computed.
    fn compute(cache: &mut KvCache, salt: u64, tokens: &[u32]) -> BlockTable {
        let prefix = cache.find_prefix(salt, tokens);
        let mut table = cache.open(prefix, tokens.len(), 0).expect("room for a sequence");
        cache.offer(&mut table, tokens);
        table
    }

    #[test]
    fn a_full_block_is_found_by_who_has_its_salt_as_long_as_its_memory_is_not_needed() {
        let mut cache = KvCache::new(4, 4);
        let tokens: Vec<u32> = (0..10).collect();
        let first = compute(&mut cache, 7, &tokens);
        assert_eq!(found(&cache, 7, &tokens), first.blocks()[..2]);
        assert_eq!(found(&cache, 7, &tokens[..8]), first.blocks()[..1], "the last token's logits are wanted");
        assert!(found(&cache, 7, &[&[9], &tokens[1..]].concat()).is_empty());
        assert!(found(&cache, 8, &tokens).is_empty(), "another tenant's");
        cache.close(&first);
        assert_eq!((cache.num_used(), cache.num_cached()), (0, 2));
        let second = compute(&mut cache, 7, &tokens);
        assert_eq!(second.blocks()[..2], first.blocks()[..2]);
        assert_eq!((cache.num_used(), cache.num_cached()), (3, 0));
        cache.close(&second);
        // Two blocks hold nothing; the next that is needed is the second of the prompt's.
        let other = compute(&mut cache, 7, &[9; 12]);
        assert_eq!(found(&cache, 7, &tokens), first.blocks()[..1]);
        assert_eq!((cache.num_used(), cache.num_cached()), (3, 1));
        cache.close(&other);
    }

    #[test]
    fn a_block_that_two_have_computed_is_found_once_and_both_chains_go_on_from_it() {
        let mut cache = KvCache::new(8, 2);
        let mut tables = [(); 2].map(|()| cache.open(Prefix::empty(0), 6, 0).expect("room"));
        cache.offer(&mut tables[0], &[1, 2]);
        cache.offer(&mut tables[1], &[1, 2, 3, 4]);
        let [first, second] = tables.each_ref().map(|table| table.blocks().to_vec());
        assert_eq!(found(&cache, 0, &[1, 2, 3, 4, 5]), [first[0], second[1]]);
        tables.iter().for_each(|table| cache.close(table));
        assert_eq!((cache.num_used(), cache.num_cached()), (0, 2));
    }

    #[test]
    fn a_prefix_that_nobody_refers_to_takes_room_like_any_other_block() {
        let mut cache = KvCache::new(4, 2);
        let held = compute(&mut cache, 0, &[1, 2, 3, 4]);
        cache.close(&held);
        let other = compute(&mut cache, 0, &[8; 4]);
        let prefix = cache.find_prefix(0, &[1, 2, 3, 4, 5]);
        assert_eq!(prefix.num_blocks(), 2);
        assert!(cache.open(prefix, 5, 0).is_none(), "two blocks are free, and they are the prefix");
        assert!(cache.open(Prefix::empty(0), 4, 1).is_none(), "no headroom");
        cache.close(&other);
        assert!(cache.open(cache.find_prefix(0, &[1, 2, 3, 4, 5]), 5, 1).is_some());
    }

    /// A sequence of the model below: its tokens, as many computed as it has blocks for.
    struct Model {
        table: BlockTable,
        salt: u64,
        tokens: Vec<u32>,
        num_computed: usize,
    }

    /// What is in each block, by who wrote it last.
    fn write(memory: &mut [Vec<u32>], model: &Model, from: usize) {
        for place in from..model.num_computed {
            let block = &mut memory[model.table.blocks()[place / 3] as usize];
            block.truncate(place % 3);
            block.push(model.tokens[place]);
        }
    }

    proptest! {
        #[test]
        fn what_is_found_holds_the_same_tokens_of_the_same_salt_and_all_blocks_come_back(
            actions in prop::collection::vec((any::<u8>(), prop::collection::vec(0u32..2, 1..20)), 1..80)
        ) {
            let mut cache = KvCache::new(12, 3);
            // What really is in the blocks, the salt of who wrote it as a first token.
            let mut memory: Vec<Vec<u32>> = vec![Vec::new(); 12];
            let mut salts: Vec<u64> = vec![0; 12];
            let mut running: Vec<Model> = Vec::new();
            for (choice, tokens) in actions {
                let index = choice as usize / 4;
                if choice % 4 == 0 {
                    let salt = u64::from(choice) / 128;
                    let prefix = cache.find_prefix(salt, &tokens);
                    let num_computed = prefix.num_blocks() * 3;
                    for (place, &block) in prefix.blocks.iter().enumerate() {
                        prop_assert_eq!(&memory[block as usize], &tokens[place * 3..][..3]);
                        prop_assert_eq!(salts[block as usize], salt);
                    }
                    if let Some(table) = cache.open(prefix, num_computed + 1, index % 3) {
                        running.push(Model { table, salt, tokens, num_computed });
                    }
                } else if !running.is_empty() && choice % 4 < 3 {
                    let length = running.len();
                    let model = &mut running[index % length];
                    let from = model.num_computed;
                    let more = (from + 1 + index % 5).min(model.tokens.len());
                    if cache.has_room(cache.num_missing(&model.table, more)) {
                        cache.extend(&mut model.table, more);
                        prop_assert!(model.table.blocks().len() * 3 >= more);
                        model.num_computed = more;
                        write(&mut memory, model, from);
                        for block in &model.table.blocks()[from / 3..] {
                            salts[*block as usize] = model.salt;
                        }
                        cache.offer(&mut model.table, &model.tokens[..more]);
                    }
                } else if !running.is_empty() {
                    let model = running.swap_remove(index % running.len());
                    cache.close(&model.table);
                }
                for Model { table, tokens, num_computed, .. } in &running {
                    for (place, token) in tokens[..*num_computed].iter().enumerate() {
                        prop_assert_eq!(memory[table.blocks()[place / 3] as usize][place % 3], *token);
                    }
                }
                prop_assert!(cache.num_used() + cache.num_cached() <= 12);
                prop_assert_eq!(cache.found.len(), cache.contents.iter().flatten().count());
            }
            running.iter().for_each(|model| cache.close(&model.table));
            prop_assert_eq!((cache.num_used(), cache.num_cached()), (0, cache.found.len()));
        }
    }
}
