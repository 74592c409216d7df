//! How wide a step is, and what each row reads in it.
//!
//! A step takes S positions of every row. A row that writes has one token to read; one that reads its prompt would like many. What is
//! wider than a row's share is a hole, which costs as much as a real position. So S grows only as long as no row has a hole, or
//! the whole step is so small that holes are no matter: among many who write, a prompt rides along token by token, at the cost of
//! what it is. Long prompts are not meant to: [`super::admission`] gives them a context of their own, where all read.
//!
//! Nobody who writes waits for long: a step has at most [`STEP_POSITIONS`] positions (or one a row) as long as anybody writes.

use super::{
    batch::{Batch, Row, Share},
    model::TextModel,
};

/// The most positions of a step while any sequence writes: what one step can make the others wait. Rows beyond it get one position each.
pub const STEP_POSITIONS: usize = 128;
/// The most positions of a step while no sequence writes.
pub const PREFILL_POSITIONS: usize = 512;
/// So few positions cost little more than one, since a step reads all weights anyway: holes among them are no matter.
const CHEAP_POSITIONS: usize = 8;

/// What a step must keep to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most positions of one row.
    pub(super) step: usize,
    /// The most rows of logits.
    pub(super) logits: usize,
    /// The most positions that this step may compute.
    pub(super) budget: usize,
    /// The most positions that the batch may cache, rows times positions.
    pub(super) cache: usize,
    /// The most drafts of one row.
    pub(super) drafts: usize,
}

impl Bounds {
    /// For a batch of a model that may cache so much, with or without sequences that write, here or elsewhere; somebody may join it after
    /// so many positions.
    pub(super) fn new(model: &TextModel, cache: usize, somebody_writes: bool, until_next: Option<usize>) -> Self {
        let step = model.max_step as usize;
        Self {
            step: until_next.map_or(step, |next| next.min(step)),
            logits: model.max_logits as usize,
            budget: if somebody_writes { STEP_POSITIONS } else { PREFILL_POSITIONS },
            cache,
            drafts: model.draft_tokens as usize,
        }
    }
}

/// The widest step for rows that have `unread` tokens to read: S.
pub(super) fn width(unread: &[usize], most: usize, budget: usize) -> usize {
    let rows = unread.len();
    let (shortest, longest) = (unread.iter().min(), unread.iter().max());
    let without_holes = shortest.map_or(1, |&shortest| shortest.min(budget / rows));
    let cheap = longest.map_or(1, |&longest| longest.min(CHEAP_POSITIONS.min(budget) / rows));
    without_holes.max(cheap).min(most).max(1)
}

/// S and the rows' shares of a batch's next step.
pub(super) fn plan<C>(batch: &mut Batch<C>, bounds: &Bounds) -> (usize, Vec<Share>) {
    let unread: Vec<usize> = batch.rows.iter().map(|row| row.sequence.unread_count()).collect();
    let longest = unread.iter().copied().max().unwrap_or(1);
    let drafts = bounds.drafts.min((CHEAP_POSITIONS / unread.len().max(1)).saturating_sub(1));
    let most = widest_cached(batch, longest.max(1 + drafts).min(bounds.step), bounds.cache);
    let width = width(&unread, most, bounds.budget);
    let shares = shares(batch, width, drafts.min(most - 1), bounds.logits);
    let width = shares.iter().map(Share::width).max().unwrap_or(1);
    (width, shares)
}

/// The widest step after which every sequence can still come to its end within the cache. One position is always possible: it was
/// reckoned with when the sequences were let in.
fn widest_cached<C>(batch: &Batch<C>, most: usize, cache: usize) -> usize {
    let fits = |width: usize| {
        let left = |row: &Row| row.sequence.remaining() - row.sequence.unread_count().min(width);
        let after = batch.rows.iter().map(left).max().unwrap_or_default();
        batch.rows.len() * (batch.positions() + width + after) <= cache
    };
    (2..=most).take_while(|&width| fits(width)).last().unwrap_or(1)
}

/// What each row reads of its `width` positions. All its logits are wanted where a prompt is scored, else those after the last token, once
/// that is read; every row that may want one is left one.
fn shares<C>(batch: &mut Batch<C>, width: usize, drafts: usize, logits: usize) -> Vec<Share> {
    let mut spare = logits.saturating_sub(batch.rows.len());
    let share = |row: &mut Row| {
        let sequence = &mut row.sequence;
        let unread = sequence.unread_count();
        if sequence.scores_prompt() {
            let tokens = unread.min(width).min(spare + 1);
            spare -= tokens - 1;
            return Share { tokens, drafts: Vec::new(), logits: tokens };
        }
        if unread > width {
            return Share { tokens: width, ..Share::default() };
        }
        let drafts = if unread == 1 { sequence.draft(drafts.min(spare)) } else { Vec::new() };
        spare -= drafts.len();
        Share { tokens: unread, logits: 1 + drafts.len(), drafts }
    };
    batch.rows.iter_mut().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_write_take_one_position() {
        assert_eq!(width(&[1; 16], 128, STEP_POSITIONS), 1);
        assert_eq!(width(&[1], 128, STEP_POSITIONS), 1);
    }

    #[test]
    fn prompts_that_begin_together_are_read_in_steps_as_wide_as_the_budget() {
        assert_eq!(width(&[32; 16], 128, PREFILL_POSITIONS), 32);
        assert_eq!(width(&[300], 128, PREFILL_POSITIONS), 128);
        assert_eq!(width(&[300, 300], 128, STEP_POSITIONS), 64);
    }

    #[test]
    fn a_prompt_among_rows_that_write_makes_holes_only_in_small_steps() {
        let with_writers = |writers: usize| width(&[vec![1; writers], vec![100]].concat(), 128, STEP_POSITIONS);
        assert_eq!([1, 2, 3, 4, 15].map(with_writers), [4, 2, 2, 1, 1]);
    }

    #[test]
    fn prompts_are_read_without_holes_as_far_as_the_shortest_goes() {
        assert_eq!(width(&[30, 20, 25], 128, PREFILL_POSITIONS), 20);
        assert_eq!(width(&[10, 5], 128, STEP_POSITIONS), 5);
        assert_eq!(width(&[5, 3], 128, STEP_POSITIONS), 4);
    }

    #[test]
    fn more_rows_than_the_budget_get_one_position_each() {
        assert_eq!(width(&[5; 200], 128, STEP_POSITIONS), 1);
    }
}
