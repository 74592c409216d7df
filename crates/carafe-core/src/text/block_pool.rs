//! The blocks of the KV cache: which are free, and how many sequences refer to each of the others.
//!
//! Every block is either in the queue of free blocks with no reference, or outside it with at least
//! one. A free block that is not cached is allocated before those that are, and of
//! these the one that was freed first: the least recently used. All operations take constant time.
//! The pool knows nothing of what blocks hold (`kv_cache` does).

/// A block's index, below the model's `num_blocks`.
pub(super) type BlockId = u32;

/// All blocks of one KV cache.
#[derive(Debug)]
pub(super) struct BlockPool {
    free: FreeQueue,
    /// Of each block, the sequences that refer to it.
    references: Vec<u32>,
}

impl BlockPool {
    /// A pool of which every block is free; the lowest are allocated first.
    pub(super) fn new(num_blocks: u32) -> Self {
        let mut free = FreeQueue::new(num_blocks);
        (0..num_blocks).for_each(|block| free.push_back(block));
        Self { free, references: vec![0; num_blocks as usize] }
    }

    /// How many blocks are free.
    pub(super) fn num_free(&self) -> usize {
        self.free.len
    }

    /// How many blocks are referred to.
    pub(super) fn num_used(&self) -> usize {
        self.references.len() - self.free.len
    }

    /// Whether nobody refers to a block.
    pub(super) fn is_free(&self, block: BlockId) -> bool {
        self.references[block as usize] == 0
    }

    /// Takes the next free block for one sequence; none if there is none.
    pub(super) fn allocate(&mut self) -> Option<BlockId> {
        let block = self.free.first()?;
        self.share(block);
        Some(block)
    }

    /// Lets a further sequence refer to a block, free or not.
    pub(super) fn share(&mut self, block: BlockId) {
        if self.is_free(block) {
            self.free.remove(block);
        }
        self.references[block as usize] += 1;
    }

    /// Ends a sequence's reference to a block. One that is free now is the last to be allocated if
    /// it is `cached`, else the first: its memory is warm.
    pub(super) fn release(&mut self, block: BlockId, cached: bool) {
        self.references[block as usize] -= 1;
        if !self.is_free(block) {
            return;
        }
        if cached {
            self.free.push_back(block);
        } else {
            self.free.push_front(block);
        }
    }
}

/// A queue from which blocks can be taken in the middle: a doubly linked ring through one more
/// place than there are blocks, which is before the first block and after the last.
#[derive(Debug)]
struct FreeQueue {
    links: Vec<Link>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    before: BlockId,
    after: BlockId,
}

impl FreeQueue {
    /// An empty queue for blocks below `num_blocks`.
    fn new(num_blocks: u32) -> Self {
        Self { links: (0..=num_blocks).map(|place| Link { before: place, after: place }).collect(), len: 0 }
    }

    /// The place that is no block.
    fn end(&self) -> BlockId {
        (self.links.len() - 1) as BlockId
    }

    fn first(&self) -> Option<BlockId> {
        let first = self.links[self.end() as usize].after;
        (first != self.end()).then_some(first)
    }

    fn push_front(&mut self, block: BlockId) {
        self.insert(block, self.end(), self.links[self.end() as usize].after);
    }

    fn push_back(&mut self, block: BlockId) {
        self.insert(block, self.links[self.end() as usize].before, self.end());
    }

    fn insert(&mut self, block: BlockId, before: BlockId, after: BlockId) {
        self.links[block as usize] = Link { before, after };
        self.links[before as usize].after = block;
        self.links[after as usize].before = block;
        self.len += 1;
    }

    fn remove(&mut self, block: BlockId) {
        let Link { before, after } = self.links[block as usize];
        self.links[before as usize].after = after;
        self.links[after as usize].before = before;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_blocks_are_allocated_last_and_the_one_freed_first_before_the_others() {
        let mut pool = BlockPool::new(5);
        let blocks: Vec<BlockId> = (0..5).map_while(|_| pool.allocate()).collect();
        assert_eq!((&blocks[..], pool.allocate()), (&[0, 1, 2, 3, 4][..], None));
        pool.release(3, true);
        pool.release(1, true);
        pool.release(4, false);
        pool.release(0, false);
        pool.release(2, true);
        assert_eq!((pool.num_free(), pool.num_used()), (5, 0));
        let again: Vec<BlockId> = (0..5).map_while(|_| pool.allocate()).collect();
        assert_eq!(again, [0, 4, 3, 1, 2]);
    }

    #[test]
    fn a_free_block_is_taken_from_the_middle_and_comes_back_with_its_last_reference() {
        let mut pool = BlockPool::new(3);
        pool.share(1);
        pool.share(1);
        assert_eq!((pool.allocate(), pool.allocate(), pool.allocate()), (Some(0), Some(2), None));
        pool.release(1, true);
        assert_eq!((pool.is_free(1), pool.allocate()), (false, None));
        pool.release(1, true);
        assert_eq!(pool.allocate(), Some(1));
    }
}
