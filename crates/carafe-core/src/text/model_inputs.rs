//! Assembles the inputs of an inference from what was scheduled.

use carafe_tensor::{DECODER_INPUTS, Port, Role};

use super::{
    model_runner::ModelInput,
    scheduler::{Running, SchedulerOutput},
};

/// The inputs of an inference over these sequences; one per port of a decoder, in their order.
pub(super) fn assemble(output: &SchedulerOutput, running: &[Running], block_size: usize) -> Vec<ModelInput> {
    let mut values = Values { subsequence_begins: vec![0], block_indices_begins: vec![0], ..Values::default() };
    for row in &output.rows {
        let Running { sequence, blocks, .. } = &running[row.index];
        let past = sequence.num_computed_tokens();
        let tokens = sequence.pending_tokens(row.num_tokens).iter().chain(&row.draft_tokens);
        values.input_ids.extend(tokens.map(|token| token.cast_signed()));
        values.position_ids.extend((past..past + row.width()).map(number));
        values.past_lens.push(number(past));
        values.subsequence_begins.push(number(values.input_ids.len()));
        let needed = (past + row.width()).div_ceil(block_size);
        values.block_indices.extend(blocks.blocks().iter().take(needed).map(|block| block.cast_signed()));
        values.block_indices_begins.push(number(values.block_indices.len()));
        values.max_context_len = values.max_context_len.max(number(past + row.width()));
        let end = values.input_ids.len();
        values.logit_idx.extend((end - row.num_logits..end).map(number));
    }
    // An inference whose logits nobody wants is none; these ones are passed over.
    if values.logit_idx.is_empty() {
        values.logit_idx.push(number(values.input_ids.len() - 1));
    }
    DECODER_INPUTS.iter().map(|port| values.take(port)).collect()
}

/// The values of all inputs, by their names.
#[derive(Default)]
struct Values {
    input_ids: Vec<i32>,
    position_ids: Vec<i32>,
    past_lens: Vec<i32>,
    subsequence_begins: Vec<i32>,
    block_indices: Vec<i32>,
    block_indices_begins: Vec<i32>,
    max_context_len: i32,
    logit_idx: Vec<i32>,
}

impl Values {
    fn take(&mut self, port: &Port) -> ModelInput {
        let values = match port.role {
            Role::InputIds => std::mem::take(&mut self.input_ids),
            Role::PositionIds => std::mem::take(&mut self.position_ids),
            Role::PastLens => std::mem::take(&mut self.past_lens),
            Role::SubsequenceBegins => std::mem::take(&mut self.subsequence_begins),
            Role::BlockIndices => std::mem::take(&mut self.block_indices),
            Role::BlockIndicesBegins => std::mem::take(&mut self.block_indices_begins),
            Role::MaxContextLen => vec![self.max_context_len],
            Role::LogitIdx => std::mem::take(&mut self.logit_idx),
            // No other role is an input of a decoder.
            _ => Vec::new(),
        };
        let dims = if port.dims.is_empty() { Vec::new() } else { vec![values.len() as u32] };
        ModelInput { role: port.role, dims, values }
    }
}

/// A count as it crosses to the model: the bounds of a model are below 2^31.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
