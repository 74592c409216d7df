//! A whole answer: gathers every sequence to its end, and ranks them where more were generated than
//! are answered.

use super::choice::Draft;
use super::plan::Plan;
use super::response::{CompletionChoice, CompletionResponse, Head, RunReport};
use super::sequences::Sequences;
use crate::error::ApiError;

/// Waits for the sequences and makes the answer of them.
pub(crate) async fn gather(mut sequences: Sequences, plan: &Plan, head: Head) -> Result<CompletionResponse, ApiError> {
    let mut drafts: Vec<Draft> = plan.seeds.iter().map(|_| Draft::new(plan.logprobs)).collect();
    while let Some((index, event)) = sequences.next().await? {
        if let Some(draft) = drafts.get_mut(index) {
            draft.take(event);
        }
    }
    let (usage, report) = (sequences.usage(), sequences.report());
    let (choices, seeds) = choices(drafts, plan);
    let report = RunReport { seeds, ..report };
    Ok(CompletionResponse { head, choices, usage: Some(Some(usage)), carafe: Some(report) })
}

/// The best choices of each prompt, and their seeds.
fn choices(drafts: Vec<Draft>, plan: &Plan) -> (Vec<CompletionChoice>, Vec<u64>) {
    let mut drafts = drafts.into_iter().zip(plan.seeds.iter().copied()).peekable();
    let mut best = Vec::new();
    while drafts.peek().is_some() {
        let mut of_prompt: Vec<(Draft, u64)> = drafts.by_ref().take(plan.best_of).collect();
        if plan.best_of > plan.n {
            // A stable sort: of equals the earlier one stays ahead.
            of_prompt.sort_by(|(left, _), (right, _)| right.mean_logprob().total_cmp(&left.mean_logprob()));
        }
        best.extend(of_prompt.into_iter().take(plan.n));
    }
    best.into_iter().enumerate().map(|(index, (draft, seed))| (draft.into_choice(index), seed)).unzip()
}
