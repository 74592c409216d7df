//! Figures of the times at which tokens came; `bench/carafe_bench/timing.py` has the same rules.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The times of one request, counted from the beginning of its run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestTimes {
    pub(crate) prompt_tokens: u32,
    pub(crate) tokens: Vec<Duration>,
}

impl RequestTimes {
    /// Notes a token that has just come.
    pub(crate) fn note(&mut self, began: Instant) {
        self.tokens.push(began.elapsed());
    }

    /// As the load generator writes it; all requests of a run are sent at once.
    pub(crate) fn as_json(&self) -> Value {
        let tokens: Vec<f64> = self.tokens.iter().map(Duration::as_secs_f64).collect();
        json!({ "prompt_tokens": self.prompt_tokens, "sent": 0.0, "tokens": tokens })
    }
}

/// Tokens a second while all requests are generating, or over the whole run where they are not at
/// the same time.
pub(crate) fn rate(requests: &[RequestTimes]) -> f64 {
    window_rate(requests).unwrap_or_else(|| {
        let last = requests.iter().filter_map(|request| request.tokens.last()).max();
        let count: usize = requests.iter().map(|request| request.tokens.len()).sum();
        last.map_or(0.0, |last| count as f64 / last.as_secs_f64())
    })
}

fn window_rate(requests: &[RequestTimes]) -> Option<f64> {
    let began = *requests.iter().map(|request| request.tokens.first()).max()??;
    let ended = requests.iter().map(|request| request.tokens.last().copied().unwrap_or_default()).min()?;
    let inside =
        |request: &RequestTimes| request.tokens.iter().filter(|came| began < **came && **came <= ended).count();
    let inside: usize = requests.iter().map(inside).sum();
    let all: usize = requests.iter().map(|request| request.tokens.len().saturating_sub(1)).sum();
    // With less than half of the tokens inside, the window says little about the run.
    (ended > began && 2 * inside >= all).then(|| inside as f64 / (ended - began).as_secs_f64())
}

/// The mean time from the beginning to a request's first token.
pub(crate) fn time_to_first_token(requests: &[RequestTimes]) -> Duration {
    let first = requests.iter().filter_map(|request| request.tokens.first());
    first.sum::<Duration>() / requests.len().max(1) as u32
}

/// The middle one of some numbers.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => (values[middle - 1] + upper) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(times: &[u64]) -> RequestTimes {
        RequestTimes { prompt_tokens: 1, tokens: times.iter().map(|time| Duration::from_millis(*time)).collect() }
    }

    fn assert_close(rate: f64, expected: f64) {
        assert!((rate - expected).abs() < 1e-9, "{rate} instead of {expected}");
    }

    #[test]
    fn one_request_counts_from_its_first_token() {
        assert_close(rate(&[request(&[500, 600, 700])]), 10.0);
    }

    #[test]
    fn several_requests_count_while_all_are_generating() {
        assert_close(rate(&[request(&[100, 300, 500, 700]), request(&[300, 500, 700, 900])]), 10.0);
    }

    #[test]
    fn requests_one_after_the_other_count_as_a_whole() {
        assert_close(rate(&[request(&[100, 200]), request(&[300, 400])]), 10.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_close(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_close(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
