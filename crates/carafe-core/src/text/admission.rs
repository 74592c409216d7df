//! Where a waiting sequence goes: into a batch that runs, into a batch of its own, or back to the queue.
//!
//! Whoever joins a batch that writes serves himself from steps that are computed anyway, but carries the batch's past as a hole, and
//! reads its prompt slowly ([`super::plan`]). In a context of its own a prompt is read fast, but every token written there then takes a
//! step of its own. Which of the two costs less is reckoned ([`super::cost`]). The positions that all rows of a context share
//! are never compacted, so the longer a batch runs the dearer it is to join, until nobody does and it empties by itself. There are
//! at most [`MAX_BATCHES`] at a time, stepped in turn.
//!
//! Only one of them reads at a time, and whoever comes meanwhile reads with it: its row begins when the batch has as much left to
//! read as it has itself. So all prompts of the batch end together and no position is computed in vain. A worked example, prompts of 5, 2 and
//! 3 tokens; `.` is what the rows before had read by then, masked:
//!
//! ```text
//! 1 2 3 4 5
//! . . . 1 2
//! . . 1 2 3
//! ```

use super::{batch::Batch, cost, model::TextModel, sequence::Sequence};

/// Contexts that run at the same time.
pub const MAX_BATCHES: usize = 4;
/// So many tokens longer than what a reading batch has left may a prompt be that joins it.
const NEARLY: usize = 16;
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
    /// Nowhere yet, and others may pass: what it waits for comes without them.
    WaitForTurn,
    /// Nowhere yet: there is no room, and nobody may take what is left.
    WaitForRoom,
}

/// Finds a place; `batches` are in the order of their age, the oldest first.
pub(super) fn place<C>(sequence: &Sequence, batches: &[Batch<C>], model: &TextModel) -> Place {
    let rows: usize = batches.iter().map(|batch| batch.rows.len()).sum();
    // Each row may want the logits of one position.
    if rows >= model.max_batch.min(model.max_logits) as usize {
        return Place::WaitForRoom;
    }
    let fits_alone = cached(batches) + 1 + sequence.remaining() <= model.max_positions as usize;
    let may_open = fits_alone && batches.len() < MAX_BATCHES;
    if sequence.is_alone() {
        return if may_open { Place::Fresh } else { Place::WaitForRoom };
    }
    let open: Vec<usize> = (0..batches.len()).filter(|&batch| takes(batches, batch, sequence, model)).collect();
    if let Some(place) = shared_place(sequence, batches, &open, model) {
        return place;
    }
    let reading = batches.iter().position(Batch::is_reading);
    if let Some(place) =
        reading.filter(|batch| open.contains(batch)).and_then(|batch| reading_place(sequence, batches, batch))
    {
        return place;
    }
    let writing = open.iter().copied().filter(|&batch| Some(batch) != reading);
    match writing.map(|batch| (cost::in_batch(sequence, 0, &batches[batch], model), batch)).min() {
        Some((cost, batch)) if cost <= cost::of_its_own(sequence) => Place::Join { batch },
        _ if may_open && reading.is_none() => Place::Fresh,
        _ if fits_alone || !open.is_empty() => Place::WaitForTurn,
        _ => Place::WaitForRoom,
    }
}

/// A place in a batch that reads, unless the sequence has more to read than the batch: now or later, so that both end together.
fn reading_place<C>(sequence: &Sequence, batches: &[Batch<C>], batch: usize) -> Option<Place> {
    let (unread, left) = (sequence.unread_count(), batches[batch].unread());
    match unread {
        _ if unread < left => Some(Place::WaitForTurn),
        _ if unread <= left + NEARLY => Some(Place::Join { batch }),
        _ => None,
    }
}

/// Positions of its rows after which a reading batch is to stop for the longest of those `waiting` that are shorter than what it has left.
pub(super) fn until_next<'a, C>(batch: &Batch<C>, waiting: impl Iterator<Item = &'a Sequence>) -> Option<usize> {
    let left = if batch.is_reading() { batch.unread() } else { 0 };
    waiting.map(Sequence::unread_count).filter(|&unread| unread < left).max().map(|unread| left - unread)
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
    !batch.is_private() && with_it <= room(batches, index, model)
}

/// A place beside the row with which the sequence shares most, if that is enough to matter and to pay.
fn shared_place<C>(sequence: &Sequence, batches: &[Batch<C>], open: &[usize], model: &TextModel) -> Option<Place> {
    let candidates = open.iter().flat_map(|&batch| {
        let rows = batches[batch].rows.iter().enumerate();
        rows.map(move |(row, other)| (sequence.shared_with(&other.sequence), batch, row))
    });
    let ((both, read), batch, row) = candidates.max_by_key(|&(shared, ..)| shared)?;
    let is_being_read = both > read && batches[batch].rows[row].sequence.is_reading();
    let pays = || cost::in_batch(sequence, read, &batches[batch], model) <= cost::of_its_own(sequence);
    match both {
        ..MIN_SHARED => None,
        _ if is_being_read => Some(Place::WaitForTurn),
        _ => pays().then_some(Place::Fork { batch, row, shared: read }),
    }
}
