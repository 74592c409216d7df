//! Rows and columns of 8 x 8 values change places.

/// Rows become columns. A place among 64 has six bits, and each round moves the highest to the lowest: after three, row and column have changed
/// places. It is what vectors do best: they take turns with two halves. Never inlined: amid other code a compiler may take it apart, byte by byte.
#[inline(never)]
pub(super) fn transposed<T: Copy + Default>(square: &[T; 64]) -> [T; 64] {
    shuffled(&shuffled(&shuffled(square)))
}

#[inline(always)]
fn shuffled<T: Copy + Default>(square: &[T; 64]) -> [T; 64] {
    let mut shuffled = [T::default(); 64];
    for place in 0..32 {
        shuffled[place * 2] = square[place];
        shuffled[place * 2 + 1] = square[place + 32];
    }
    shuffled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_becomes_a_column() {
        let square: [u8; 64] = std::array::from_fn(|place| place as u8);
        let expected: [u8; 64] = std::array::from_fn(|place| (place % 8 * 8 + place / 8) as u8);
        assert_eq!(transposed(&square), expected);
    }
}
