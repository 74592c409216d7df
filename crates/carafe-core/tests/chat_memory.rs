//! Templates that double texts end by their fuel, well within a guest's memory. In a process of its
//! own: every allocation counts.

#![cfg(feature = "chat")]

use std::collections::BTreeMap;

use carafe_core::chat::{Chat, ChatError, ChatTemplate};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Half of a guest's memory.
const LIMIT: usize = 128 << 20;

#[test]
fn a_template_that_doubles_texts_runs_out_of_fuel_before_memory() {
    let text = "x".repeat(400_000);
    let messages = format!(r#"[{{"role": "user", "content": "{text}"}}]"#);
    let chat = Chat { messages, ..Chat::default() };
    for step in [
        "ns.t + ns.t",
        "ns.t ~ ns.t",
        "ns.t * 2",
        "ns.t | trim + ns.t",
        "[ns.t, ns.t] | join",
        "ns.t.replace('x', 'xx')",
        "''.join([ns.t, ns.t])",
        "'%s%s' | format(ns.t, ns.t)",
        "'{}{}'.format(ns.t, ns.t)",
        "(ns.t ~ ns.t) | upper",
        "ns.t.center(ns.t | length * 2)",
        "(ns.t ~ ns.t) | wordwrap(9)",
        "[ns.t] + [ns.t | list]",
    ] {
        let source = format!(
            "{{% set ns = namespace(t=messages[0].content) %}}\
             {{% for i in range(99) %}}{{% set ns.t = {step} %}}{{% endfor %}}{{{{ ns.t }}}}"
        );
        let template = ChatTemplate::open(&source, &BTreeMap::new(), &[]).expect("opens");
        ALLOCATED.reset_peak_usage();
        let before = ALLOCATED.current_usage();
        let error = template.render(&chat).expect_err(step);
        let used = ALLOCATED.peak_usage() - before;
        assert!(matches!(error, ChatError::TooMuch { .. }), "{step}: {error}");
        assert!(used < LIMIT, "{step}: {} MiB", used >> 20);
    }
}
