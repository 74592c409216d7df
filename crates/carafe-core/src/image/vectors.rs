//! What is done with vectors of 128 bits in more than one place.

use wide::{i16x8, i32x4, u8x16, u16x8};

/// Bytes of a vector.
pub(super) const VECTOR: usize = 16;

/// Rows of bytes become columns.
///
/// Two bytes at a time, which [`u16x8::transpose`] does for the first eight rows and for the last;
/// then each column of pairs is taken apart.
#[inline(always)]
pub(super) fn transposed(rows: [u8x16; VECTOR]) -> [u8x16; VECTOR] {
    let [above, below]: [[u16x8; 8]; 2] = bytemuck::cast(rows);
    let (above, below) = (u16x8::transpose(above), u16x8::transpose(below));
    bytemuck::cast([
        apart(above[0], below[0]),
        apart(above[1], below[1]),
        apart(above[2], below[2]),
        apart(above[3], below[3]),
        apart(above[4], below[4]),
        apart(above[5], below[5]),
        apart(above[6], below[6]),
        apart(above[7], below[7]),
    ])
}

/// The first bytes of all pairs, and the second ones.
#[inline(always)]
fn apart(above: u16x8, below: u16x8) -> [u8x16; 2] {
    let bytes = |above: u16x8, below: u16x8| u8x16::narrow_i16x8(bytemuck::cast(above), bytemuck::cast(below));
    let (low, high) = (u16x8::splat(0xff), 8);
    let (lows, highs) = (bytes(above & low, below & low), bytes(above >> high, below >> high));
    if cfg!(target_endian = "little") { [lows, highs] } else { [highs, lows] }
}

/// Bytes as 16-bit numbers, the first eight and the last.
#[inline(always)]
pub(super) fn halves(bytes: u8x16) -> [i16x8; 2] {
    const LAST: [u8; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255];
    [i16x8::from_u8x16_low(bytes), i16x8::from_u8x16_low(bytes.shuffle_zeroing(u8x16::new(LAST)))]
}

/// Two factors in turn, for pairs of values.
#[inline(always)]
pub(super) fn in_turn(pair: [i16; 2]) -> i16x8 {
    // Four times one number of twice the width: a load and a splat.
    bytemuck::cast(i32x4::splat(bytemuck::cast(pair)))
}

/// The 16-bit values of wider ones, clamped.
#[inline(always)]
pub(super) fn narrow(values: [i32x4; 2]) -> i16x8 {
    i16x8::from_i32x8_saturate(bytemuck::cast(values))
}

/// The values of both vectors in turn.
#[inline(always)]
pub(super) fn zip<const BYTES: usize>(first: u8x16, second: u8x16) -> [u8x16; 2] {
    let part = |vector: u8x16, places| vector.shuffle_zeroing(u8x16::new(places));
    let half = |half: usize| {
        let [even, odd] = const { [places(BYTES, 0), places(BYTES, 1)] }[half];
        part(first, even) | part(second, odd)
    };
    [half(0), half(1)]
}

/// Where the bytes of a half of zipped vectors come from in the first, and in the second; past the
/// end is nowhere.
const fn places(bytes: usize, half: usize) -> [[u8; VECTOR]; 2] {
    let mut places = [[u8::MAX; VECTOR]; 2];
    let mut byte = 0;
    while byte < VECTOR {
        let value = byte / bytes;
        places[value % 2][byte] = (value / 2 * bytes + byte % bytes + half * (VECTOR / 2)) as u8;
        byte += 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let square = |value: fn(u8, u8) -> u8| -> [u8x16; VECTOR] {
            std::array::from_fn(|row| u8x16::new(std::array::from_fn(|column| value(row as u8, column as u8))))
        };
        assert_eq!(transposed(square(|row, column| row * 16 + column)), square(|row, column| column * 16 + row));
    }

    #[test]
    fn values_are_zipped_whole() {
        let (first, second) = (u8x16::new(std::array::from_fn(|byte| byte as u8)), u8x16::splat(99));
        let [low, high] = zip::<2>(first, second);
        assert_eq!(low.to_array(), [0, 1, 99, 99, 2, 3, 99, 99, 4, 5, 99, 99, 6, 7, 99, 99]);
        assert_eq!(high.to_array(), [8, 9, 99, 99, 10, 11, 99, 99, 12, 13, 99, 99, 14, 15, 99, 99]);
        assert_eq!(zip::<1>(first, second)[0].to_array()[..6], [0, 99, 1, 99, 2, 99]);
    }
}
