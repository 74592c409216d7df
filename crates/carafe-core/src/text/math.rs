//! Arithmetic that gives the same bits natively and in WebAssembly.
//!
//! The platforms' own `exp` and `ln` differ, so the sampler uses this module alone: a polynomial for [`exp2`] that compilers can
//! vectorise (no branch, no table, no fused multiply-add), `libm` for the one logarithm a token, and sums in a fixed order.

use std::f32::consts::LN_2;

/// Lanes of a sum: value `i` goes to lane `i % LANES`, whatever the width of the processor's registers.
pub(super) const LANES: usize = 16;

/// Lanes of a sum in f64.
pub(super) const WIDE_LANES: usize = 8;

/// How many values are looked at together, before single ones are: a block of logits, or of their weights.
pub(super) const BLOCK: usize = 64;

/// From here down, a power of two counts as zero: it would be less than the smallest normal f32.
const SMALLEST_EXPONENT: f32 = -126.0;

/// 2^x for x at most 0, which is all that weights relative to the largest logit need: within 2 units in the last place, exactly 1
/// at 0, exactly 0 from -126 down.
///
/// x = n + f with n whole and f at most a half either way; 2^f is a polynomial (Cephes' `exp2f`), and n is added to its exponent.
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

/// The natural logarithm.
pub(super) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// The sum of the values, lane by lane, then the lanes from first to last.
#[inline]
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
    lanes.iter().fold(0.0, |total, lane| total + lane)
}

/// The sum of the values as f64, lane by lane, then the lanes from first to last.
#[inline]
pub(super) fn wide_sum(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<WIDE_LANES>();
    let mut lanes = [0.0f64; WIDE_LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(value);
    }
    lanes.iter().sum()
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
    fn a_sum_takes_its_values_lane_by_lane() {
        let values: Vec<f32> = (0..1000).map(|index| (index as f32 * 0.37).fract() * 1e3 + 1e-3).collect();
        let mut lanes = [0.0f32; LANES];
        for (index, value) in values.iter().enumerate() {
            lanes[index % LANES] += value;
        }
        let mut expected = 0.0f32;
        for lane in lanes {
            expected += lane;
        }
        assert_eq!(sum(&values).to_bits(), expected.to_bits());
    }

    #[test]
    fn a_wide_sum_takes_its_values_lane_by_lane_and_loses_nothing_that_f64_holds() {
        let values: Vec<f32> = (0..1003).map(|index| (index % 97) as f32 / 1_048_576.0 + 0.5).collect();
        let exact: u64 = values.iter().map(|&value| (f64::from(value) * 1_048_576.0) as u64).sum();
        assert_eq!(wide_sum(&values) * 1_048_576.0, exact as f64);
        let mut lanes = [0.0f64; WIDE_LANES];
        let values: Vec<f32> = (0..1003).map(|index| (index as f32 * 0.37).fract() * 1e3 + 1e-3).collect();
        for (index, &value) in values.iter().enumerate() {
            lanes[index % WIDE_LANES] += f64::from(value);
        }
        assert_eq!(wide_sum(&values).to_bits(), lanes.iter().sum::<f64>().to_bits());
    }

    #[test]
    fn ln_agrees_with_the_standard_library() {
        for value in [1e-300, 0.5, 1.0, 2.0, 50_257.0, 1e300] {
            assert!((ln(value) - f64::ln(value)).abs() <= 1e-13 * f64::ln(value).abs());
        }
    }
}
