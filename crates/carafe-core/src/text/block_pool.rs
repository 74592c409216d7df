//! The blocks of the KV cache: which are free, and how many sequences refer to each of the others.
//!
//! Every block is either in the free list with no reference, or outside it with at least one. All
//! operations take constant time. The pool knows nothing of what blocks hold (`kv_cache` does).

/// A block's index, below the model's `num_blocks`.
pub(super) type BlockId = u32;

/// All blocks of one KV cache.
#[derive(Debug)]
pub(super) struct BlockPool {
    /// The block that was freed last is allocated first: its memory is warm.
    free: Vec<BlockId>,
    /// Of each block, the sequences that refer to it.
    references: Vec<u32>,
}

impl BlockPool {
    /// A pool of which every block is free; the lowest are allocated first.
    pub(super) fn new(num_blocks: u32) -> Self {
        Self { free: (0..num_blocks).rev().collect(), references: vec![0; num_blocks as usize] }
    }

    /// How many blocks are free.
    pub(super) fn num_free(&self) -> usize {
        self.free.len()
    }

    /// How many blocks are referred to.
    pub(super) fn num_used(&self) -> usize {
        self.references.len() - self.free.len()
    }

    /// Takes a free block for one sequence; none if there is none.
    pub(super) fn allocate(&mut self) -> Option<BlockId> {
        let block = self.free.pop()?;
        self.references[block as usize] = 1;
        Some(block)
    }

    /// Lets a further sequence refer to a block that is in use.
    pub(super) fn share(&mut self, block: BlockId) {
        self.references[block as usize] += 1;
    }

    /// Ends a sequence's reference to a block. Whether the block is free now.
    pub(super) fn release(&mut self, block: BlockId) -> bool {
        let references = &mut self.references[block as usize];
        *references -= 1;
        let is_free = *references == 0;
        if is_free {
            self.free.push(block);
        }
        is_free
    }
}
