//! One execution context and the sequences in its rows.
//!
//! The cache of a context is a rectangle: B rows of P positions, and every step appends S positions to all rows alike. Sequences are not
//! rectangular: they join late, read at different speeds and leave early. What a row holds beside its sequence's own positions is a
//! hole, hidden by the row's mask. A worked example: a sequence `a` writes token by token; `b` joins with the prompt `[21, 22]`, reading
//! it at once; then both write (`.` is a hole; the first column is the masked dummy of [`super::Forward`]).
//!
//! | step | B, S | input_ids | position_ids | attention_mask (P+S wide) | beam_idx | logit_idx |
//! |---|---|---|---|---|---|---|
//! | `a` alone | 1, 1 | `[13]` | `[2]` | `[.111]` | `[0]` | `[0]` |
//! | `b` joins | 2, 2 | `[. 14][21 22]` | `[. 3][0 1]` | `[.111.1][....11]` | `[0, 0]` | `[1, 3]` |
//! | both write | 2, 1 | `[15][23]` | `[4][2]` | `[.111.11][....111]` | `[0, 1]` | `[0, 1]` |
//!
//! A row names the row of the step before that it continues, so a sequence leaves by not being named, and one that begins like another
//! is a second row that continues the same one: what both share is read once. A drafted token that turns out wrong becomes a hole.

use super::{forward::Step, sequence::Sequence};

/// A context with its rows.
#[derive(Debug)]
pub(super) struct Batch<C> {
    pub(super) context: C,
    pub(super) rows: Vec<Row>,
    /// The turn in which it was stepped last, or made.
    pub(super) turn: u64,
    /// P: the positions that every row has by now, the dummy included.
    positions: usize,
    arrays: Arrays,
}

/// A sequence in a batch.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) sequence: Sequence,
    /// The row of the step before that it continues.
    source: usize,
    /// `[P]`: 1 where a position is the sequence's own.
    mask: Vec<i32>,
}

/// What a row reads in a step, and what of that its logits are wanted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// So many of the sequence's unread tokens.
    pub(super) tokens: usize,
    /// Then these guesses at the tokens after them.
    pub(super) drafts: Vec<u32>,
    /// The logits after so many of the last of all these are wanted.
    pub(super) logits: usize,
}

impl Share {
    /// The positions that it takes.
    pub(super) fn width(&self) -> usize {
        self.tokens + self.drafts.len()
    }
}

/// The arrays of the latest step, kept to be filled again.
#[derive(Debug, Default)]
struct Arrays {
    input_ids: Vec<i32>,
    position_ids: Vec<i32>,
    attention_mask: Vec<i32>,
    beam_idx: Vec<i32>,
    logit_idx: Vec<i32>,
}

impl<C> Batch<C> {
    /// A batch over an empty context.
    pub(super) fn new(context: C, turn: u64) -> Self {
        Self { context, rows: Vec::new(), turn, positions: 0, arrays: Arrays::default() }
    }

    /// P, of the context's first step on.
    pub(super) fn positions(&self) -> usize {
        self.positions.max(1)
    }

    /// Whether the context has had its masked dummy position.
    pub(super) fn is_begun(&self) -> bool {
        self.positions > 0
    }

    /// Whether nobody in it writes yet.
    pub(super) fn is_reading(&self) -> bool {
        self.rows.iter().all(|row| row.sequence.is_reading())
    }

    /// The most that one of its sequences has yet to read.
    pub(super) fn unread(&self) -> usize {
        self.rows.iter().map(|row| row.sequence.unread_count()).max().unwrap_or_default()
    }

    /// Whether its sequence must not have company.
    pub(super) fn is_private(&self) -> bool {
        self.rows.iter().any(|row| row.sequence.is_alone())
    }

    /// Gives a sequence a row.
    pub(super) fn join(&mut self, sequence: Sequence) {
        self.rows.push(Row { sequence, source: 0, mask: vec![0; self.positions] });
    }

    /// Gives a sequence a row that begins with the first `shared` tokens of another row, which have been read there.
    pub(super) fn fork(&mut self, mut sequence: Sequence, of: usize, shared: usize) {
        let Row { source, mask, .. } = &self.rows[of];
        let mut left = shared;
        let kept = mask.iter().map(|&own| {
            let keeps = own == 1 && left > 0;
            left -= usize::from(keeps);
            i32::from(keeps)
        });
        let (source, mask) = (*source, kept.collect());
        sequence.advance(shared);
        self.rows.push(Row { sequence, source, mask });
    }

    /// The arrays of the context's first step: one position that stays hidden.
    pub(super) fn dummy_step(&mut self) -> (&mut C, Step<'_>) {
        let Arrays { input_ids, position_ids, attention_mask, beam_idx, logit_idx } = &mut self.arrays;
        for array in [input_ids, position_ids, attention_mask, beam_idx, logit_idx] {
            array.clear();
            array.push(0);
        }
        (&mut self.context, self.arrays.step(1, 1))
    }

    /// Notes that the first step has been run.
    pub(super) fn begin(&mut self) {
        self.positions = 1;
        self.rows.iter_mut().for_each(|row| row.mask.push(0));
    }

    /// Assembles a step of `width` positions, at least as wide as any share; rows take their shares from the right.
    pub(super) fn step(&mut self, width: usize, shares: &[Share]) -> (&mut C, Step<'_>) {
        self.arrays.clear();
        for (index, (row, share)) in self.rows.iter_mut().zip(shares).enumerate() {
            let holes = width - share.width();
            self.arrays.append(row, share, holes);
            let end = ((index + 1) * width) as i32;
            self.arrays.logit_idx.extend(end - share.logits as i32..end);
            row.mask.extend(std::iter::repeat_n(0, holes));
            row.mask.extend(std::iter::repeat_n(1, share.width()));
            self.arrays.attention_mask.extend_from_slice(&row.mask);
        }
        // A step whose logits nobody wants is no valid step; whoever reads the answer passes over these.
        if self.arrays.logit_idx.is_empty() {
            self.arrays.logit_idx.push(width as i32 - 1);
        }
        (&mut self.context, self.arrays.step(self.rows.len(), width))
    }

    /// Notes that the step that was assembled last, `width` positions wide, has been run.
    pub(super) fn advance(&mut self, width: usize) {
        self.positions += width;
        self.rows.iter_mut().enumerate().for_each(|(index, row)| row.source = index);
    }
}

impl Row {
    /// Makes holes of the last `count` positions, drafts that were wrong.
    pub(super) fn reject(&mut self, count: usize) {
        let end = self.mask.len();
        self.mask[end - count..].fill(0);
    }
}

impl Arrays {
    fn clear(&mut self) {
        let Self { input_ids, position_ids, attention_mask, beam_idx, logit_idx } = self;
        for array in [input_ids, position_ids, attention_mask, beam_idx, logit_idx] {
            array.clear();
        }
    }

    /// A row's tokens and positions; those of holes are 0 and count for nothing.
    fn append(&mut self, row: &Row, share: &Share, holes: usize) {
        let first = row.sequence.position();
        let tokens = row.sequence.unread(share.tokens).iter().chain(&share.drafts);
        self.beam_idx.push(row.source as i32);
        self.input_ids.extend(std::iter::repeat_n(0, holes));
        self.input_ids.extend(tokens.map(|token| token.cast_signed()));
        self.position_ids.extend(std::iter::repeat_n(0, holes));
        self.position_ids.extend((first..first + share.width()).map(|place| place as i32));
    }

    fn step(&self, rows: usize, length: usize) -> Step<'_> {
        Step {
            rows,
            length,
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            attention_mask: &self.attention_mask,
            beam_idx: &self.beam_idx,
            logit_idx: &self.logit_idx,
        }
    }
}
