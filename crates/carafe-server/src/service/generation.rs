//! A generation from its request to its end: piece by piece, or whole.

use std::sync::Arc;

use carafe_host::text::TextModel;

use super::caller::Caller;
use super::pieces::{Draft, Piece, Pieces};
use super::plan::Plan;
use super::report::{RunReport, Usage};
use super::request::GenerationRequest;
use super::sequences::Sequences;
use crate::card::ModelCard;
use crate::error::ApiError;
use crate::models::Served;

/// A request that the model has taken. Dropping it ends what still runs, at the end of the model's
/// current step.
pub(crate) struct Generation {
    sequences: Sequences,
    plan: Plan,
    served: Arc<Served<TextModel>>,
    /// One for each sequence.
    pieces: Vec<Pieces>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The best of each prompt: choice `j` of prompt `i` is number `i * n + j`.
    pub(crate) choices: Vec<Piece>,
    pub(crate) usage: Usage,
    /// Its seeds are those of the choices.
    pub(crate) report: RunReport,
}

impl Generation {
    /// Takes a request's permits and hands its sequences to the model; all of them are accepted, or
    /// none runs.
    pub(crate) async fn start(caller: &Caller, request: GenerationRequest) -> Result<Self, ApiError> {
        let served = caller.server.models()?.text(request.model.as_deref())?.clone();
        let plan = Plan::new(request, &served, &caller.tenant)?;
        let prompts = caller.server.configuration().log_prompts.then(|| plan.prompts());
        caller.record.note(|facts| {
            facts.model = Some(served.card.id.clone());
            facts.prompt = prompts;
        });
        let sequences = Sequences::start(caller, &served, &plan).await?;
        let pieces = plan.seeds.iter().map(|_| Pieces::new(plan.tokens)).collect();
        Ok(Self { sequences, plan, served, pieces })
    }

    /// What there is to say of the model.
    pub(crate) fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// The next piece that a client need be told, and the number of its sequence; none when all
    /// have finished.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<(usize, Piece)>, ApiError> {
        while let Some((index, event)) = self.sequences.next().await? {
            if let Some(piece) = self.pieces.get_mut(index).and_then(|pieces| pieces.take(event)) {
                return Ok(Some((index, piece)));
            }
        }
        Ok(None)
    }

    /// Whether the last piece of each sequence has come.
    pub(crate) fn has_finished(&self) -> bool {
        self.sequences.have_finished()
    }

    /// Numbers of tokens so far.
    pub(crate) fn usage(&self) -> Usage {
        self.sequences.usage()
    }

    /// How the request went so far, with a seed for each sequence.
    pub(crate) fn report(&self) -> RunReport {
        self.sequences.report()
    }

    /// Counts a stream that was given up since its client did not read it.
    pub(crate) fn count_unread(&self) {
        self.sequences.count_unread();
    }

    /// Waits for the whole of it, and chooses the best where more was generated than is answered.
    pub(crate) async fn gather(mut self) -> Result<Generated, ApiError> {
        let mut drafts: Vec<Draft> = self.pieces.drain(..).map(Draft::new).collect();
        while let Some((index, event)) = self.sequences.next().await? {
            if let Some(draft) = drafts.get_mut(index) {
                draft.take(event);
            }
        }
        let (usage, report) = (self.usage(), self.report());
        let (choices, seeds) = best(drafts, &self.plan);
        Ok(Generated { choices, usage, report: RunReport { seeds, ..report } })
    }
}

/// The best choices of each prompt, and their seeds.
fn best(drafts: Vec<Draft>, plan: &Plan) -> (Vec<Piece>, Vec<u64>) {
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
    best.into_iter().map(|(draft, seed)| (draft.into_choice(), seed)).unzip()
}
