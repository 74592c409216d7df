//! How much memory this process may take, what bounds it, and what a KV cache gets of it.

use carafe_host::{DecoderLimits, KvCacheSize};
use carafe_models::{ModelFolder, Task};
use serde_json::json;

use super::{Finding, Status, Topic};
use crate::arguments::Running;
use crate::bytes::Bytes;
use crate::output::gibibytes;
use crate::resources::Resources;

/// The first version of cgroups writes a number for what has no limit.
const BOUNDLESS: u64 = 1 << 50;

/// Looks with the flags of the server.
pub(super) fn look(running: &Running, served: &[ModelFolder]) -> Topic {
    let is_text = |folder: &&ModelFolder| folder.manifest().task == Task::TextGeneration;
    let caches = served.iter().filter(is_text).map(|folder| kv_cache(running, folder));
    Topic::new("memory", "Memory", [available()].into_iter().chain(caches).collect())
}

/// The tightest bound, and the others that there are.
fn available() -> Finding {
    let mut bounds = Resources::of_this_process().memory_bounds();
    bounds.retain(|bound| bound.bytes < BOUNDLESS);
    bounds.sort_by_key(|bound| bound.bytes);
    let facts: Vec<_> = bounds.iter().map(|bound| json!({ "by": bound.by, "bytes": bound.bytes })).collect();
    let Some((tightest, others)) = bounds.split_first() else {
        return Finding::new(Status::Note, "the system does not tell how much memory there is");
    };
    let others: Vec<_> = others.iter().map(|bound| format!("{} leaves {}", bound.by, gibibytes(bound.bytes))).collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let text = format!("{} may be taken: {} leaves that much{others}", gibibytes(tightest.bytes), tightest.by);
    Finding::new(Status::Good, text).with_facts(json!({ "available_bytes": tightest.bytes, "bounds": facts }))
}

/// What the KV cache of a model may take; how much it needs is only known of a compiled graph.
fn kv_cache(running: &Running, folder: &ModelFolder) -> Finding {
    let name = &folder.manifest().name;
    let DecoderLimits { kv_cache, .. } = running.decoder_limits(folder, 2 * running.limits().guest_memory);
    let (bytes, text) = match kv_cache {
        KvCacheSize::Exactly(bytes) => (bytes, format!("KV cache of `{name}`: {}, as was asked for", Bytes(bytes))),
        KvCacheSize::AtMost(bytes) => {
            let full = "what 64 full contexts need";
            (bytes, format!("KV cache of `{name}`: {full}, but at most {}", gibibytes(bytes)))
        }
    };
    let facts = json!({ "model": name, "kv_cache_bytes": bytes });
    if bytes == 0 {
        let text =
            format!("no memory is left for the KV cache of `{name}` when its weights and two guests have theirs");
        let remedy = "give Carafe more memory, serve fewer or smaller models (`--model`), or set `--kv-cache`";
        return Finding::new(Status::Error, text).with_remedy(remedy).with_facts(facts);
    }
    Finding::new(Status::Good, text).with_facts(facts)
}
