//! Rows and columns of 8 x 8 values change places.
//!
//! Rows are words, and the halves of two words change places by shifts: first squares of 4 x 4 values, then of 2 x 2, then single values. Written
//! value by value, or as vectors' shuffles, it is taken apart and put together by the compilers in twice as many instructions.

/// A side of the square.
pub(super) const SIDE: usize = 8;

/// Rows of bytes become columns; the first byte of a row is the lowest of its word.
#[inline]
pub(super) fn transposed(mut rows: [u64; SIDE]) -> [u64; SIDE] {
    for (first, second) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
        exchange::<32>(&mut rows, first, second, 0x0000_0000_ffff_ffff);
    }
    for (first, second) in [(0, 2), (1, 3), (4, 6), (5, 7)] {
        exchange::<16>(&mut rows, first, second, 0x0000_ffff_0000_ffff);
    }
    for (first, second) in [(0, 1), (2, 3), (4, 5), (6, 7)] {
        exchange::<8>(&mut rows, first, second, 0x00ff_00ff_00ff_00ff);
    }
    rows
}

/// Rows of 16-bit values become columns.
#[inline(never)]
pub(super) fn transposed_wide(square: &[i16; SIDE * SIDE]) -> [i16; SIDE * SIDE] {
    let quarters = [quarter::<0, 0>(square), quarter::<4, 0>(square), quarter::<0, 4>(square), quarter::<4, 4>(square)];
    // Two quarters lie side by side in four rows, two words of four values each.
    bytemuck::cast(std::array::from_fn::<u64, 16, _>(|place| quarters[place / 8 * 2 + place % 2][place / 2 % 4]))
}

/// The 4 x 4 values at a row and a column, transposed.
#[inline(always)]
fn quarter<const ROW: usize, const COLUMN: usize>(square: &[i16; SIDE * SIDE]) -> [u64; 4] {
    let mut rows = std::array::from_fn(|index| word(&square[(ROW + index) * SIDE + COLUMN..]));
    exchange::<32>(&mut rows, 0, 2, 0x0000_0000_ffff_ffff);
    exchange::<32>(&mut rows, 1, 3, 0x0000_0000_ffff_ffff);
    exchange::<16>(&mut rows, 0, 1, 0x0000_ffff_0000_ffff);
    exchange::<16>(&mut rows, 2, 3, 0x0000_ffff_0000_ffff);
    rows
}

/// Four values, the first one lowest.
#[inline(always)]
fn word(values: &[i16]) -> u64 {
    let value = |place: usize| u64::from(values[place].cast_unsigned()) << (place * 16);
    value(0) | value(1) | value(2) | value(3)
}

/// What lies `SHIFT` bits above the mask in one word, and at the mask in another, change places.
#[inline(always)]
fn exchange<const SHIFT: u32>(words: &mut [u64], first: usize, second: usize, mask: u64) {
    let different = ((words[first] >> SHIFT) ^ words[second]) & mask;
    words[second] ^= different;
    words[first] ^= different << SHIFT;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_bytes_becomes_a_column() {
        let square = |value: fn(u8, u8) -> u8| -> [u64; SIDE] {
            std::array::from_fn(|row| u64::from_le_bytes(std::array::from_fn(|column| value(row as u8, column as u8))))
        };
        assert_eq!(transposed(square(|row, column| row * 8 + column)), square(|row, column| column * 8 + row));
    }

    #[test]
    fn each_row_of_wide_values_becomes_a_column() {
        let square: [i16; 64] = std::array::from_fn(|place| (place as i16 - 32) * 1000);
        let expected: [i16; 64] = std::array::from_fn(|place| square[place % 8 * 8 + place / 8]);
        assert_eq!(transposed_wide(&square), expected);
    }
}
