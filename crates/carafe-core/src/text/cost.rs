//! What it costs to serve a sequence here or there, in positions: one is the time that a step takes longer for one position more.
//!
//! At GPT-2's size on two cores a step takes about 6 ms and 0.65 ms for each of its positions, and each of these 0.0015 ms for each
//! position that is cached before it. Other sizes and machines have other times; the choices change little with their ratios.

use super::{
    batch::Batch,
    model::TextModel,
    plan::{STEP_POSITIONS, width},
    sequence::Sequence,
};

/// What a step costs whatever its width, 9, shared by those who are going to join: about three write in a context.
const STEP: usize = 3;
/// Attention over so many cached positions costs as much as everything else of one position.
const CACHED: usize = 433;

/// The cost in a new context: the prompt, and a share of a step for every token.
pub(super) fn of_its_own(sequence: &Sequence) -> usize {
    sequence.unread_count() + STEP * written(sequence)
}

/// The cost in a batch that writes, if the first `shared` tokens have been read there: steps get wider as long as the prompt is read, which
/// also takes that many steps, and every position looks back at all that the batch has cached.
pub(super) fn in_batch<C>(sequence: &Sequence, shared: usize, batch: &Batch<C>, model: &TextModel) -> usize {
    let unread = sequence.unread_count() - shared;
    let (writing, rows) = (batch.rows.len(), batch.rows.len() + 1);
    let others = batch.rows.iter().map(|row| row.sequence.unread_count());
    let widths: Vec<usize> = others.chain([unread]).collect();
    let width = width(&widths, model.max_step as usize, STEP_POSITIONS);
    let steps = unread.div_ceil(width);
    let holes = batch.positions().saturating_sub(shared);
    steps * (rows * width - writing) + steps + (unread + written(sequence)) * holes / CACHED
}

/// Tokens that a sequence may yet write.
fn written(sequence: &Sequence) -> usize {
    sequence.remaining() - sequence.unread_count()
}
