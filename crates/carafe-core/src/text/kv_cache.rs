//! Who has which blocks of the KV cache, and which full blocks can be shared.
//!
//! A sequence keeps its blocks in a [`BlockTable`]: entry `i` holds the tokens from `i *
//! block_size` on. A block that is full of computed tokens never changes again, so another sequence
//! that begins with the same tokens refers to it instead of computing it: a prefix-cache hit. A
//! block that is not full has one owner, and is never shared.
//!
//! A cached block is found by its own tokens, compared one by one, and by its parent: the content
//! of the block before it, or for a first block the salt of those who may find it. Every content
//! has a number of its own that is never used again, so a chain of blocks is compared by its last
//! link, and no two chains can be taken for one another, as two hashes could be.
//!
//! A block whose last sequence has ended stays cached until its memory is needed, the least
//! recently used first (`block_pool`). Of the blocks of one sequence that is the last one, so that
//! every cached block's parent is cached too. A worked example, blocks of 4 tokens, one salt:
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

/// What comes before the tokens of a cached block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Parent {
    /// Nothing: those who have this salt find the block.
    Salt(u64),
    /// The tokens of another block, and what comes before those.
    Content(ContentId),
}

/// What a cached block is found by.
type Key = (Parent, Arc<[u32]>);

/// A block that can be found.
#[derive(Debug, Clone, Copy)]
struct CachedBlock {
    block: BlockId,
    content: ContentId,
}

/// The blocks that hold the first tokens of a sequence already.
#[derive(Debug)]
pub(super) struct Prefix {
    blocks: Vec<BlockId>,
    /// What comes before the tokens after those; none if the sequence shares nothing.
    parent: Option<Parent>,
}

impl Prefix {
    /// How many blocks there are.
    pub(super) fn num_blocks(&self) -> usize {
        self.blocks.len()
    }
}

/// The blocks of one sequence.
#[derive(Debug)]
pub(super) struct BlockTable {
    blocks: Vec<BlockId>,
    /// How many of the first are cached blocks.
    num_cached: usize,
    /// What comes before the tokens after those; none if the sequence shares nothing.
    parent: Option<Parent>,
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
    cached: BTreeMap<Key, CachedBlock>,
    /// Of each block, what it is found by.
    keys: Vec<Option<Key>>,
    /// Cached blocks that no sequence refers to.
    num_unreferenced: usize,
    next_content: ContentId,
}

impl KvCache {
    /// An empty cache.
    pub(super) fn new(num_blocks: u32, block_size: u32) -> Self {
        Self {
            pool: BlockPool::new(num_blocks),
            block_size: block_size as usize,
            cached: BTreeMap::new(),
            keys: vec![None; num_blocks as usize],
            num_unreferenced: 0,
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

    /// Cached blocks that no running sequence refers to.
    pub(super) fn num_unreferenced(&self) -> usize {
        self.num_unreferenced
    }

    /// How many blocks a table lacks for `num_tokens`.
    pub(super) fn num_missing(&self, table: &BlockTable, num_tokens: usize) -> usize {
        num_tokens.div_ceil(self.block_size).saturating_sub(table.blocks.len())
    }

    /// How many blocks can be had.
    pub(super) fn num_free(&self) -> usize {
        self.pool.num_free()
    }

    /// The cached blocks that begin like these tokens, the last token left out, since its logits
    /// are wanted. Without a salt nothing is shared, now and later.
    pub(super) fn find_prefix(&self, salt: Option<u64>, tokens: &[u32]) -> Prefix {
        let mut prefix = Prefix { blocks: Vec::new(), parent: salt.map(Parent::Salt) };
        let shareable = &tokens[..tokens.len().saturating_sub(1)];
        for tokens in shareable.chunks_exact(self.block_size) {
            let cached = prefix.parent.and_then(|parent| self.cached.get(&(parent, tokens.into())));
            let Some(cached) = cached else { break };
            prefix.blocks.push(cached.block);
            prefix.parent = Some(Parent::Content(cached.content));
        }
        prefix
    }

    /// A table that begins with the blocks of `prefix` and has those for `num_tokens`; none unless
    /// `headroom` blocks stay free then.
    pub(super) fn allocate(&mut self, prefix: Prefix, num_tokens: usize, headroom: usize) -> Option<BlockTable> {
        let Prefix { blocks, parent } = prefix;
        let num_taken = blocks.iter().filter(|&&block| self.pool.is_free(block)).count();
        let mut table = BlockTable { num_cached: blocks.len(), blocks, parent };
        if self.num_missing(&table, num_tokens) + num_taken + headroom > self.num_free() {
            return None;
        }
        table.blocks.iter().for_each(|&block| self.refer(block));
        self.extend(&mut table, num_tokens);
        Some(table)
    }

    /// Gives a table the blocks for `num_tokens`. There must be as many free ones as it lacks.
    pub(super) fn extend(&mut self, table: &mut BlockTable, num_tokens: usize) {
        let num_missing = self.num_missing(table, num_tokens);
        debug_assert!(num_missing <= self.num_free(), "the scheduler gives no more than there is");
        for block in (0..num_missing).map_while(|_| self.pool.allocate()) {
            if let Some(key) = self.keys[block as usize].take() {
                self.cached.remove(&key);
                self.num_unreferenced -= 1;
            }
            table.blocks.push(block);
        }
    }

    /// Lets others find the blocks that `computed`, the tokens that the model has computed, have
    /// filled. Where another sequence has computed the same, the table refers to that one's block
    /// from now on and gives its own back.
    pub(super) fn cache_full_blocks(&mut self, table: &mut BlockTable, computed: &[u32]) {
        let Some(mut parent) = table.parent else { return };
        let chunks = computed.chunks_exact(self.block_size).enumerate();
        for (index, tokens) in chunks.skip(table.num_cached) {
            let (key, own): (Key, BlockId) = ((parent, tokens.into()), table.blocks[index]);
            let content = match self.cached.get(&key).copied() {
                Some(CachedBlock { block, content }) => {
                    self.refer(block);
                    self.pool.release(own, false);
                    table.blocks[index] = block;
                    content
                }
                None => self.cache(key, own),
            };
            parent = Parent::Content(content);
            table.num_cached = index + 1;
        }
        table.parent = Some(parent);
    }

    /// Takes a sequence's blocks back.
    pub(super) fn free(&mut self, table: &BlockTable) {
        // The last first: it is the first whose memory is used again.
        for &block in table.blocks.iter().rev() {
            let is_cached = self.keys[block as usize].is_some();
            self.pool.release(block, is_cached);
            self.num_unreferenced += usize::from(is_cached && self.pool.is_free(block));
        }
    }

    /// Lets a further sequence refer to a cached block.
    fn refer(&mut self, block: BlockId) {
        self.num_unreferenced -= usize::from(self.pool.is_free(block));
        self.pool.share(block);
    }

    /// Lets a block be found; the number of its content.
    fn cache(&mut self, key: Key, block: BlockId) -> ContentId {
        let content = self.next_content;
        self.next_content += 1;
        self.keys[block as usize] = Some(key.clone());
        self.cached.insert(key, CachedBlock { block, content });
        content
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(cache: &KvCache, salt: u64, tokens: &[u32]) -> Vec<BlockId> {
        cache.find_prefix(Some(salt), tokens).blocks
    }

    /// A table for all of the tokens, which are then computed.
    fn compute(cache: &mut KvCache, salt: u64, tokens: &[u32]) -> BlockTable {
        let prefix = cache.find_prefix(Some(salt), tokens);
        let mut table = cache.allocate(prefix, tokens.len(), 0).expect("room for a sequence");
        cache.cache_full_blocks(&mut table, tokens);
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
        cache.free(&first);
        assert_eq!((cache.num_used(), cache.num_unreferenced()), (0, 2));
        let second = compute(&mut cache, 7, &tokens);
        assert_eq!(second.blocks()[..2], first.blocks()[..2]);
        assert_eq!((cache.num_used(), cache.num_unreferenced()), (3, 0));
        cache.free(&second);
        // Two blocks hold nothing; the next that is needed is the second of the prompt's.
        let other = compute(&mut cache, 7, &[9; 12]);
        assert_eq!(found(&cache, 7, &tokens), first.blocks()[..1]);
        assert_eq!((cache.num_used(), cache.num_unreferenced()), (3, 1));
        cache.free(&other);
    }

    #[test]
    fn of_a_block_that_two_have_computed_one_is_kept_for_both() {
        let mut cache = KvCache::new(8, 2);
        let mut tables = [(); 2].map(|()| cache.allocate(cache.find_prefix(Some(0), &[1; 6]), 6, 0).expect("room"));
        cache.cache_full_blocks(&mut tables[0], &[1, 2]);
        cache.cache_full_blocks(&mut tables[1], &[1, 2, 3, 4]);
        let [first, second] = tables.each_ref().map(|table| table.blocks().to_vec());
        assert_eq!((first[0], cache.num_used()), (second[0], 5));
        assert_eq!(found(&cache, 0, &[1, 2, 3, 4, 5]), [first[0], second[1]]);
        tables.iter().for_each(|table| cache.free(table));
        assert_eq!((cache.num_used(), cache.num_unreferenced()), (0, 2));
    }

    #[test]
    fn who_has_no_salt_finds_nothing_and_leaves_nothing() {
        let mut cache = KvCache::new(8, 2);
        let shared = compute(&mut cache, 0, &[1, 2, 3]);
        let prefix = cache.find_prefix(None, &[1, 2, 3]);
        assert_eq!(prefix.num_blocks(), 0);
        let mut alone = cache.allocate(prefix, 6, 0).expect("room");
        cache.cache_full_blocks(&mut alone, &[5, 6, 7, 8]);
        assert!(found(&cache, 0, &[5, 6, 7, 8, 9]).is_empty());
        cache.free(&alone);
        cache.free(&shared);
        assert_eq!((cache.num_used(), cache.num_unreferenced()), (0, 1));
    }

    #[test]
    fn a_prefix_that_nobody_refers_to_takes_room_like_any_other_block() {
        let mut cache = KvCache::new(4, 2);
        let held = compute(&mut cache, 0, &[1, 2, 3, 4]);
        cache.free(&held);
        let other = compute(&mut cache, 0, &[8; 4]);
        let prefix = cache.find_prefix(Some(0), &[1, 2, 3, 4, 5]);
        assert_eq!(prefix.num_blocks(), 2);
        assert!(cache.allocate(prefix, 5, 0).is_none(), "two blocks are free, and they are the prefix");
        assert!(cache.allocate(cache.find_prefix(None, &[1; 4]), 4, 1).is_none(), "no headroom");
        cache.free(&other);
        assert!(cache.allocate(cache.find_prefix(Some(0), &[1, 2, 3, 4, 5]), 5, 1).is_some());
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
                    let prefix = cache.find_prefix(Some(salt), &tokens);
                    let num_computed = prefix.num_blocks() * 3;
                    for (place, &block) in prefix.blocks.iter().enumerate() {
                        prop_assert_eq!(&memory[block as usize], &tokens[place * 3..][..3]);
                        prop_assert_eq!(salts[block as usize], salt);
                    }
                    if let Some(table) = cache.allocate(prefix, num_computed + 1, index % 3) {
                        running.push(Model { table, salt, tokens, num_computed });
                    }
                } else if !running.is_empty() && choice % 4 < 3 {
                    let length = running.len();
                    let model = &mut running[index % length];
                    let from = model.num_computed;
                    let more = (from + 1 + index % 5).min(model.tokens.len());
                    if cache.num_missing(&model.table, more) <= cache.num_free() {
                        cache.extend(&mut model.table, more);
                        prop_assert!(model.table.blocks().len() * 3 >= more);
                        model.num_computed = more;
                        write(&mut memory, model, from);
                        for block in &model.table.blocks()[from / 3..] {
                            salts[*block as usize] = model.salt;
                        }
                        cache.cache_full_blocks(&mut model.table, &model.tokens[..more]);
                    }
                } else if !running.is_empty() {
                    let model = running.swap_remove(index % running.len());
                    cache.free(&model.table);
                }
                for Model { table, tokens, num_computed, .. } in &running {
                    for (place, token) in tokens[..*num_computed].iter().enumerate() {
                        prop_assert_eq!(memory[table.blocks()[place / 3] as usize][place % 3], *token);
                    }
                }
                prop_assert!(cache.num_used() + cache.num_unreferenced() <= 12);
                prop_assert_eq!(cache.cached.len(), cache.keys.iter().flatten().count());
                let contents: Vec<ContentId> = cache.cached.values().map(|cached| cached.content).collect();
                for (parent, _) in cache.cached.keys() {
                    prop_assert!(matches!(parent, Parent::Content(id) if contents.contains(id)) || matches!(parent, Parent::Salt(_)));
                }
            }
            running.iter().for_each(|model| cache.free(&model.table));
            prop_assert_eq!((cache.num_used(), cache.num_unreferenced()), (0, cache.cached.len()));
        }
    }
}
