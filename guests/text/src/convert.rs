//! The words of `wit/text.wit` and those of `carafe-core`: requests and events by the core's own conversion, and what only a guest has.

use carafe_core::text;

carafe_core::wit_conversions!(crate::bindings::exports::carafe::guests::generation);

pub(crate) fn model(model: wit::Model) -> text::TextModel {
    text::TextModel {
        context_length: model.context_length,
        vocabulary_size: model.vocabulary_size,
        eos_token_ids: model.eos_token_ids,
        block_size: model.block_size,
        num_blocks: model.num_blocks,
        max_num_seqs: model.max_num_seqs,
        max_num_batched_tokens: model.max_num_batched_tokens,
        max_num_logits: model.max_num_logits,
        prefill_chunk: model.prefill_chunk,
        draft_tokens: model.draft_tokens,
    }
}

pub(crate) fn event(event: text::Event, tokenizer: &text::Tokenizer) -> wit::Event {
    wit::Event { request: event.request, kind: event_kind(event.kind, tokenizer) }
}

pub(crate) fn stats(stats: text::Stats) -> wit::Stats {
    wit::Stats {
        running: stats.running,
        waiting: stats.waiting,
        used_blocks: stats.used_blocks,
        num_forward_passes: stats.num_forward_passes,
        prompt_tokens: stats.prompt_tokens,
        cached_tokens: stats.cached_tokens,
        generated_tokens: stats.generated_tokens,
        draft_tokens: stats.draft_tokens,
        accepted_tokens: stats.accepted_tokens,
    }
}
