//! Where a waiting sequence goes: into a batch that runs, into a batch of its own, or back to the queue.
//!
//! Joining a running batch is the cheapest for everybody: one step then serves one sequence more. But the batch's steps stay narrow while
//! others write, so a long prompt would take many steps to read ([`super::plan`]); it is read faster in a context of its own, which
//! from then on costs a step of its own. And the positions that all rows of a context share are never compacted: each row carries a hole
//! for all that was there before it. A batch with too many holes takes nobody in any more and empties by itself; what comes goes to a
//! fresh one. So there are at most [`MAX_BATCHES`] at a time, stepped in turn.

use super::{
    batch::Batch,
    model::TextModel,
    plan::{STEP_POSITIONS, width},
    sequence::Sequence,
};

/// Contexts that run at the same time.
pub const MAX_BATCHES: usize = 2;
/// Steps that a newcomer's prompt may take in a batch that runs, before it is given a fresh context instead.
const MAX_RIDE: usize = 24;
/// Holes in all rows of a batch that still takes newcomers in. Reading so many masked positions takes about as long as reading the
/// weights once more, which is what a second batch costs.
const MAX_HOLES: usize = 4096;
/// Tokens that must be shared to be worth a look.
const MIN_SHARED: usize = 16;

/// Where a sequence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the batch of this index.
    Join { batch: usize },
    /// Beside a row of a batch, of which the sequence shares its first tokens.
    Fork { batch: usize, row: usize, shared: usize },
    /// Into a new batch.
    Fresh,
    /// Nowhere yet: a row reads just now what the sequence shares with it.
    WaitForShared,
    /// Nowhere yet: there is no room.
    WaitForRoom,
}

/// Finds a place; `batches` are in the order of their age, the oldest first.
pub(super) fn place<C>(sequence: &Sequence, batches: &[Batch<C>], model: &TextModel) -> Place {
    let rows: usize = batches.iter().map(|batch| batch.rows.len()).sum();
    // Each row may want the logits of one position.
    if rows >= model.max_batch.min(model.max_logits) as usize {
        return Place::WaitForRoom;
    }
    let may_open =
        batches.len() < MAX_BATCHES && cached(batches) + 1 + sequence.remaining() <= model.max_positions as usize;
    if sequence.is_alone() {
        return if may_open { Place::Fresh } else { Place::WaitForRoom };
    }
    let open: Vec<usize> = (0..batches.len()).filter(|&batch| takes(batches, batch, sequence, model)).collect();
    if let Some(place) = shared_place(sequence, batches, &open) {
        return place;
    }
    match open.last() {
        Some(&batch) if !may_open || ride(sequence, &batches[batch], model) <= MAX_RIDE => Place::Join { batch },
        _ if may_open => Place::Fresh,
        _ => Place::WaitForRoom,
    }
}

/// Positions that a batch can come to cache at most, with its steps one position wide, and in `rows` rows.
fn positions_at_most<C>(batch: &Batch<C>, rows: usize, newcomer: usize) -> usize {
    let longest = batch.rows.iter().map(|row| row.sequence.remaining()).max().unwrap_or_default();
    rows * (batch.positions() + longest.max(newcomer))
}

/// Positions that all batches can come to cache.
fn cached<C>(batches: &[Batch<C>]) -> usize {
    batches.iter().map(|batch| positions_at_most(batch, batch.rows.len(), 0)).sum()
}

/// Positions that one of the batches may cache, the others having what they can come to need.
pub(super) fn room<C>(batches: &[Batch<C>], batch: usize, model: &TextModel) -> usize {
    let own = positions_at_most(&batches[batch], batches[batch].rows.len(), 0);
    (model.max_positions as usize + own).saturating_sub(cached(batches))
}

/// Whether a batch may take a sequence in.
fn takes<C>(batches: &[Batch<C>], index: usize, sequence: &Sequence, model: &TextModel) -> bool {
    let batch = &batches[index];
    let with_it = positions_at_most(batch, batch.rows.len() + 1, sequence.remaining());
    let has_room = with_it <= room(batches, index, model);
    has_room && !batch.is_private() && batch.holes() <= MAX_HOLES
}

/// A place beside the row with which the sequence shares most, if that is enough to matter.
fn shared_place<C>(sequence: &Sequence, batches: &[Batch<C>], open: &[usize]) -> Option<Place> {
    let candidates = open.iter().flat_map(|&batch| {
        let rows = batches[batch].rows.iter().enumerate();
        rows.map(move |(row, other)| (sequence.shared_with(&other.sequence), batch, row))
    });
    let ((both, read), batch, row) = candidates.max_by_key(|&(shared, ..)| shared)?;
    let is_being_read = both > read && batches[batch].rows[row].sequence.is_reading();
    match both {
        ..MIN_SHARED => None,
        _ if is_being_read => Some(Place::WaitForShared),
        _ => Some(Place::Fork { batch, row, shared: read }),
    }
}

/// Steps that the sequence's unread tokens would take in a batch.
fn ride<C>(sequence: &Sequence, batch: &Batch<C>, model: &TextModel) -> usize {
    let rows = batch.rows.iter().map(|row| row.sequence.unread_count());
    let unread: Vec<usize> = rows.chain([sequence.unread_count()]).collect();
    sequence.unread_count().div_ceil(width(&unread, model.max_step as usize, STEP_POSITIONS))
}
