//! Which requests there are and when each is sent. `bench/carafe_bench/arrivals.py` follows the
//! same rule for contestants in process.

use std::str::FromStr;

/// A request that is sent so many seconds after the run has begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) at: f64,
    pub(crate) prompt_tokens: u64,
    pub(crate) new_tokens: u64,
}

/// A range of numbers of tokens, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        match (low.parse(), high.parse()) {
            (Ok(low), Ok(high)) if 0 < low && low <= high => Ok(Self { low, high }),
            _ => Err("expected a number above 0, or two like `16-256`".to_owned()),
        }
    }
}

/// Requests at so many a second on average, the gaps between them exponential, their lengths drawn
/// evenly.
pub(crate) fn poisson(count: usize, rate: f64, prompt: Range, new: Range, seed: u64) -> Vec<Arrival> {
    let (mut generator, mut at) = (SplitMix { state: seed }, 0.0);
    let draw = |_| {
        let (prompt_tokens, new_tokens) = (generator.between(prompt), generator.between(new));
        let arrival = Arrival { at, prompt_tokens, new_tokens };
        at += -(1.0 - generator.unit()).ln() / rate;
        arrival
    };
    (0..count).map(draw).collect()
}

/// The generator SplitMix64.
struct SplitMix {
    state: u64,
}

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in [0,1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, Range { low, high }: Range) -> u64 {
        low + (self.unit() * (high - low + 1) as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_number_or_two() {
        assert_eq!("32".parse(), Ok(Range { low: 32, high: 32 }));
        assert_eq!("16-256".parse(), Ok(Range { low: 16, high: 256 }));
        for wrong in ["", "0", "9-3", "a", "1-"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_load_in_its_bounds_and_at_its_rate() {
        let (prompt, new) = (Range { low: 16, high: 512 }, Range { low: 16, high: 256 });
        let load = poisson(1000, 4.0, prompt, new, 7);
        assert_eq!(load, poisson(1000, 4.0, prompt, new, 7));
        assert_ne!(load, poisson(1000, 4.0, prompt, new, 8));
        assert!(load.iter().all(|arrival| (16..=512).contains(&arrival.prompt_tokens)));
        assert!(load.iter().all(|arrival| (16..=256).contains(&arrival.new_tokens)));
        let last = load.last().expect("a thousand").at;
        assert!((225.0..275.0).contains(&last), "a thousand at four a second took {last} s");
    }

    #[test]
    fn the_load_is_the_one_of_the_python_side() {
        // bench/tests/test_arrivals.py has the same numbers.
        let load = poisson(2, 1.0, Range { low: 16, high: 512 }, Range { low: 16, high: 256 }, 7);
        assert_eq!((load[0].prompt_tokens, load[0].new_tokens), (209, 20));
        assert_eq!((load[1].prompt_tokens, load[1].new_tokens), (305, 125));
    }
}
