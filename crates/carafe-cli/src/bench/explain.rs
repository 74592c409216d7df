//! Where the time of a step goes.
//!
//! The guest has no clock: what the host cannot time as its own or as OpenVINO's is the guest's,
//! the copies into and out of its memory (lifting and lowering of the component model) included.

use std::time::Duration;

use carafe_host::text::TextStats;
use serde_json::{Value, json};

/// The parts of the steps between two looks at a model's counters.
pub(super) struct Parts {
    steps: u64,
    inference: Duration,
    host: Duration,
    guest: Duration,
    generated: u64,
    drafted: u64,
    accepted: u64,
}

impl Parts {
    /// What was counted between `before` and `after`.
    pub(super) fn between(before: &TextStats, after: &TextStats) -> Self {
        let (inference, host) = (after.inference_time - before.inference_time, after.host_time - before.host_time);
        let (new, old) = (&after.counted, &before.counted);
        let guest = (after.step_time - before.step_time).saturating_sub(host);
        Self {
            steps: after.steps - before.steps,
            inference,
            host: host.saturating_sub(inference),
            guest,
            generated: new.generated_tokens - old.generated_tokens,
            drafted: new.draft_tokens - old.draft_tokens,
            accepted: new.accepted_tokens - old.accepted_tokens,
        }
    }

    /// A line for each part: microseconds of a step, and percent.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(name, time): (&str, Duration)| {
            format!("    {name:<44} {:>9.1} us {:>6.2} %", self.microseconds(time), 100.0 * self.share(time))
        };
        let head = format!("  {} steps, each {:.1} us:", self.steps, self.microseconds(self.all()));
        let drafts =
            format!("    {} tokens, {} of {} draft tokens were accepted", self.generated, self.accepted, self.drafted);
        std::iter::once(head).chain(self.named().into_iter().map(line)).chain([drafts]).collect()
    }

    /// The same for programs.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "steps": self.steps,
            "step_us": self.microseconds(self.all()),
            "openvino_us": self.microseconds(self.inference),
            "host_us": self.microseconds(self.host),
            "guest_us": self.microseconds(self.guest),
            "generated_tokens": self.generated,
            "draft_tokens": self.drafted,
            "accepted_tokens": self.accepted,
        })
    }

    fn named(&self) -> [(&'static str, Duration); 3] {
        [
            ("OpenVINO", self.inference),
            ("host: checks and copies of a compute", self.host),
            ("guest, with copies into and out of its memory", self.guest),
        ]
    }

    fn all(&self) -> Duration {
        self.inference + self.host + self.guest
    }

    fn microseconds(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.steps.max(1) as f64
    }

    fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.all().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
