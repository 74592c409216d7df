//! Stop strings: text that ends a request and is itself never delivered.
//!
//! [`StopMatcher`] holds back the end of the text while it may still become a stop string, and lets
//! go of it as soon as it cannot. The match that is complete first wins; of two that end together,
//! the longer. So the outcome does not depend on how the text was cut into tokens. Worked example
//! with the stop string `END`: `the E` delivers `the ` and holds `E`; then `gg` delivers `Egg`,
//! whereas `ND` delivers nothing more and stops.

/// How many stop strings a request may have.
pub const MAX_STOPS: usize = 4;

/// How long a stop string may be, in bytes.
pub const MAX_STOP_BYTES: usize = 256;

/// What became of a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matched {
    /// What may be delivered now.
    pub(super) text: String,
    /// Whether a stop string is complete; then nothing more is ever delivered.
    pub(super) stopped: bool,
}

/// Looks for stop strings in a stream of text.
#[derive(Debug, Clone, Default)]
pub(super) struct StopMatcher {
    /// At most [`MAX_STOPS`], none of them empty.
    stops: Vec<String>,
    /// Text that is the start of a stop string, and so not delivered yet.
    held: String,
}

impl StopMatcher {
    /// A matcher for `stops`, none of which may be empty.
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes the next piece of text.
    pub(super) fn push(&mut self, text: &str) -> Matched {
        let known = self.held.len();
        self.held.push_str(text);
        if let Some(start) = self.first_match(known) {
            self.held.truncate(start);
            return Matched { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep = self.held.split_off(self.undecided());
        Matched { text: std::mem::replace(&mut self.held, keep), stopped: false }
    }

    /// Ends the stream: what was held back did not become a stop string.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string starts that is complete first, looking at ends after `known` bytes
    /// only.
    fn first_match(&self, known: usize) -> Option<usize> {
        let held = self.held.as_bytes();
        (known + 1..=held.len()).find_map(|end| {
            let ending = self.stops.iter().filter(|stop| held[..end].ends_with(stop.as_bytes()));
            ending.map(|stop| end - stop.len()).min()
        })
    }

    /// Where the longest end of the held text begins that is the start of a stop string.
    fn undecided(&self) -> usize {
        let held = self.held.as_bytes();
        let begins_stop = |tail: &[u8]| self.stops.iter().any(|stop| stop.as_bytes().starts_with(tail));
        let earliest = held.len().saturating_sub(MAX_STOP_BYTES);
        (earliest..held.len()).find(|&start| begins_stop(&held[start..])).unwrap_or(held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that is delivered of `pieces`, and whether a stop string was found.
    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(ToString::to_string).collect());
        let mut delivered = Vec::new();
        for piece in pieces {
            let matched = matcher.push(piece);
            delivered.push(matched.text);
            if matched.stopped {
                return (delivered, true);
            }
        }
        delivered.push(matcher.finish());
        (delivered, false)
    }

    #[test]
    fn a_stop_string_over_three_pieces_is_found_and_not_delivered() {
        assert_eq!(run(&["END"], &["the E", "N", "D of"]), (vec!["the ".into(), "".into(), "".into()], true));
    }

    #[test]
    fn text_that_cannot_become_a_stop_string_any_more_is_let_go() {
        assert_eq!(run(&["END"], &["the E", "gg"]), (vec!["the ".into(), "Egg".into(), "".into()], false));
    }

    #[test]
    fn held_text_is_delivered_at_the_end() {
        assert_eq!(run(&["END"], &["EN"]), (vec!["".into(), "EN".into()], false));
    }

    #[test]
    fn a_start_inside_a_failed_start_is_still_seen() {
        assert_eq!(run(&["aab"], &["a", "a", "a", "b"]), (vec!["".into(), "".into(), "a".into(), "".into()], true));
    }

    #[test]
    fn the_stop_string_that_is_complete_first_wins() {
        assert_eq!(run(&["abcd", "c"], &["abcd"]), (vec!["ab".into()], true));
        assert_eq!(run(&["bc", "c"], &["abcd"]), (vec!["a".into()], true));
    }

    #[test]
    fn a_stop_string_of_several_bytes_a_character_is_cut_between_characters() {
        assert_eq!(
            run(&["é👋"], &["caf", "é", "é", "👋"]),
            (vec!["caf".into(), "".into(), "é".into(), "".into()], true)
        );
    }

    #[test]
    fn without_stop_strings_everything_is_delivered_at_once() {
        assert_eq!(run(&[], &["a", "b"]), (vec!["a".into(), "b".into(), "".into()], false));
    }

    proptest! {
        #[test]
        fn the_outcome_does_not_depend_on_the_cut(
            text in "[ab👋]{0,24}",
            stops in prop::collection::vec("[ab👋]{1,4}", 0..=MAX_STOPS),
            cuts in prop::collection::vec(0usize..24, 0..8),
        ) {
            let mut pieces = vec![String::new()];
            for (index, character) in text.chars().enumerate() {
                if cuts.contains(&index) {
                    pieces.push(String::new());
                }
                if let Some(piece) = pieces.last_mut() {
                    piece.push(character);
                }
            }
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (delivered, stopped) = run(&stops, &pieces);

            let first_end = (1..=text.len()).find(|&end| stops.iter().any(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes())));
            let expected = first_end.map_or(text.as_str(), |end| {
                let longest = stops.iter().filter(|stop| text[..end].ends_with(*stop)).map(|stop| stop.len()).max();
                &text[..end - longest.unwrap_or(0)]
            });
            prop_assert_eq!(delivered.concat(), expected);
            prop_assert_eq!(stopped, first_end.is_some());
        }
    }
}
