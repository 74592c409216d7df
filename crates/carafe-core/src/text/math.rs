//! Arithmetic that gives the same bits natively and in WebAssembly.
//!
//! The platforms' own `exp` and `ln` differ, so the sampler uses this module alone: a polynomial
//! for [`exp2`] that compilers can vectorise (no branch, no table, no fused multiply-add), `libm`
//! for the one logarithm a token, and sums in a fixed order.

use std::{array, f32::consts::LN_2};

/// Lanes of a sum: value `i` goes to lane `i % LANES`, whatever the width of the processor's
/// registers.
pub(super) const LANES: usize = 16;

/// How many values are looked at together, before single ones are: a block of logits, or of their
/// weights.
pub(super) const BLOCK: usize = 64;

/// From here down, a power of two counts as zero: it would be less than the smallest normal f32.
const SMALLEST_EXPONENT: f32 = -126.0;

/// 2^x for x at most 0, which is all that weights relative to the largest logit need: within 2
/// units in the last place, exactly 1 at 0, exactly 0 from -126 down.
///
/// x = n + f with n whole and f at most a half either way; 2^f is a polynomial (Cephes' `exp2f`),
/// and n is added to its exponent.
#[inline(always)]
pub(super) fn exp2(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUNDER: f32 = 12_582_912.0;

    let clamped = if x > SMALLEST_EXPONENT { x } else { SMALLEST_EXPONENT };
    let rounded = clamped + ROUNDER;
    let f = clamped - (rounded - ROUNDER);

    let power = 1.535_336_2e-4;
    let power = power * f + 1.339_887_4e-3;
    let power = power * f + 9.618_437e-3;
    let power = power * f + 5.550_332_5e-2;
    let power = power * f + 0.240_226_48;
    let power = power * f + LN_2;
    let power = power * f + 1.0;

    let exponent = rounded.to_bits() << 23; // n, where a float keeps its exponent
    let power = f32::from_bits(power.to_bits().wrapping_add(exponent));
    if x > SMALLEST_EXPONENT { power } else { 0.0 }
}

/// Sets each value of `to` to what `of` makes of the value of `from` in the same place; `to` may be
/// longer.
///
/// As many at a time as there are lanes, and not one vector: at the end of every turn of a loop a
/// guest looks whether its time is over, and what the registers hold is saved and loaded again
/// around that.
#[inline(always)]
pub(super) fn map(from: &[f32], to: &mut [f32], of: impl Fn(f32) -> f32) {
    let to = &mut to[..from.len()];
    let ((to, last_to), (from, last_from)) = (to.as_chunks_mut::<LANES>(), from.as_chunks::<LANES>());
    for (to, from) in to.iter_mut().zip(from) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = of(from);
        }
    }
    for (to, &from) in last_to.iter_mut().zip(last_from) {
        *to = of(from);
    }
}

/// The natural logarithm.
pub(super) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// The sum of the values, lane by lane, then of the lanes.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    join_lanes(lanes, |a, b| a + b)
}

/// Joins each lane with the one half of the lanes further on, until one lane is left. Written out,
/// so that compilers keep vectors.
#[inline(always)]
pub(super) fn join_lanes(lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = array::from_fn(|lane| join(lanes[lane], lanes[lane + 8]));
    let four: [f32; 4] = array::from_fn(|lane| join(eight[lane], eight[lane + 4]));
    join(join(four[0], four[2]), join(four[1], four[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distance between `value` and `exact` in units of the last place of `exact` as f32.
    fn units_in_the_last_place(value: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        let unit = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
        (f64::from(value) - exact).abs() / unit
    }

    #[test]
    fn exp2_is_within_two_units_of_the_exact_value_over_its_whole_range() {
        let mut worst = 0.0f64;
        let steps = 2_000_000;
        for step in 0..=steps {
            let x = -125.99 * (step as f32 / steps as f32);
            worst = worst.max(units_in_the_last_place(exp2(x), f64::from(x).exp2()));
        }
        assert!(worst < 2.0, "worst error {worst} units in the last place");
    }

    #[test]
    fn exp2_is_exact_at_whole_numbers_and_at_the_ends() {
        for whole in 0..126 {
            assert_eq!(exp2(-(whole as f32)), 0.5f32.powi(whole));
        }
        assert_eq!(exp2(-0.0).to_bits(), 1.0f32.to_bits());
        assert_eq!(exp2(-126.0), 0.0);
        assert_eq!(exp2(f32::MIN), 0.0);
        assert_eq!(exp2(f32::NEG_INFINITY), 0.0);
        assert!(exp2(-125.999) >= f32::MIN_POSITIVE);
    }

    #[test]
    fn a_vectorised_exp2_equals_a_scalar_one_to_the_bit() {
        let arguments: Vec<f32> = (0..10_000).map(|step| step as f32 * -0.013).collect();
        let together: Vec<f32> = arguments.iter().map(|&x| exp2(x)).collect();
        for (&argument, value) in arguments.iter().zip(together) {
            assert_eq!(std::hint::black_box(exp2 as fn(f32) -> f32)(argument).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_sum_takes_its_values_lane_by_lane_and_then_halves_the_lanes() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<f32> = (0..length).map(|index| (index as f32 * 0.37).fract() * 1e3 + 1e-3).collect();
            let lane = |lane: usize| values.iter().skip(lane).step_by(LANES).fold(0.0f32, |sum, value| sum + value);
            let mut expected: Vec<f32> = (0..LANES).map(lane).collect();
            while expected.len() > 1 {
                let further = expected.split_off(expected.len() / 2);
                expected.iter_mut().zip(further).for_each(|(sum, value)| *sum += value);
            }
            assert_eq!(sum(&values).to_bits(), expected[0].to_bits());
        }
    }

    #[test]
    fn ln_agrees_with_the_standard_library() {
        for value in [1e-300, 0.5, 1.0, 2.0, 50_257.0, 1e300] {
            assert!((ln(value) - f64::ln(value)).abs() <= 1e-13 * f64::ln(value).abs());
        }
    }
}
