//! The words of `wit/text.wit` and those of `carafe-core`: requests and events by the core's own
//! conversion, and what only a guest has.

use carafe_core::text;

carafe_core::wit_conversions!(crate::bindings::exports::carafe::guests::generation);

pub(crate) fn event(event: text::Event, tokenizer: &carafe_core::tokenizer::Tokenizer) -> wit::Event {
    wit::Event { request: event.request, kind: event_kind(event.kind, tokenizer) }
}

pub(crate) fn prepared_prompt(prepared: text::PreparedPrompt) -> wit::PreparedPrompt {
    let reasoning = match prepared.reasoning {
        text::Reasoning::InText => wit::Reasoning::InText,
        text::Reasoning::Apart => wit::Reasoning::Apart,
        text::Reasoning::Tagged(text::ReasoningTags { start, end, is_open }) => {
            wit::Reasoning::Tagged(wit::ReasoningTags { start, end, is_open })
        }
    };
    wit::PreparedPrompt { tokens: prepared.tokens, reasoning }
}

pub(crate) fn stats(stats: text::Stats) -> wit::Stats {
    wit::Stats {
        running: stats.running,
        waiting: stats.waiting,
        used_blocks: stats.used_blocks,
        cached_blocks: stats.cached_blocks,
        num_forward_passes: stats.num_forward_passes,
        scheduled_requests: stats.scheduled_requests,
        prompt_tokens: stats.prompt_tokens,
        prefix_cache_queries: stats.prefix_cache_queries,
        prefix_cache_hits: stats.prefix_cache_hits,
        preemptions: stats.preemptions,
        generated_tokens: stats.generated_tokens,
        draft_tokens: stats.draft_tokens,
        accepted_tokens: stats.accepted_tokens,
    }
}
