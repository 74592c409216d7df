//! The generator of random numbers: SplitMix64, addressed by a counter.
//!
//! Output `i` of a key is a pure function of the two, so there is no state to save: a request that
//! has produced `i` tokens draws by key `i` of its seed next, wherever and whenever it goes on. An
//! output is a key again where draws have an order of their own.
//!
//! SplitMix64 is Vigna's `splitmix64.c` (Steele, Lea and Flood, "Fast splittable pseudorandom
//! number generators", 2014).

/// The odd integer nearest to 2^64 over the golden ratio: what SplitMix64 adds to its state before
/// each output.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Key `index` of `key`: output `index`, counted from 0, of SplitMix64 started with that. A seed is
/// a key.
pub fn fold_in(key: u64, index: u64) -> u64 {
    let state = key.wrapping_add(GOLDEN_GAMMA.wrapping_mul(index.wrapping_add(1)));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Draw `index` of `key`: uniform in [0, 1), a multiple of 2^-53.
pub fn draw(key: u64, index: u64) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    (fold_in(key, index) >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_are_those_of_the_published_generator() {
        let outputs: Vec<u64> = (0..5).map(|index| fold_in(1_234_567, index)).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(outputs, published);
    }

    #[test]
    fn draws_are_below_one_and_evenly_spread_and_so_are_those_of_the_key_in_their_place() {
        let mut counts = [0u32; 16];
        for index in 0..160_000 {
            let (first, second) = (draw(42, index), draw(fold_in(42, index), 0));
            assert!((0.0..1.0).contains(&first) && (0.0..1.0).contains(&second));
            counts[(first * 4.0) as usize * 4 + (second * 4.0) as usize] += 1;
        }
        let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - 10_000.0).powi(2) / 10_000.0).sum();
        // 15 degrees of freedom: 44 is passed by chance once in 10,000 times.
        assert!(chi_square < 44.0, "chi-square {chi_square}");
    }

    #[test]
    fn neighbouring_seeds_draw_differently() {
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 1), draw(2, 0));
    }
}
