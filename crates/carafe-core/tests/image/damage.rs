//! Damaged files: whatever happens to a file on its way, decoding ends in an image or in words,
//! never in a panic.

use carafe_core::image::{Image, decode};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::MEMORY;
use crate::files::{fixture, golden};
use crate::matrix::matrix;

/// One thing that happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    /// Near the start, where the headers are.
    SetHeader(Index, u8),
    Cut(Index),
    Drop(Index, usize),
    Double(Index, usize),
}

const HEADER: usize = 700;

impl Damage {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let length = file.len();
        let span = |start: &Index, count: usize| start.index(length)..(start.index(length) + count).min(length);
        match self {
            Self::Set(place, value) => file[place.index(length)] = *value,
            Self::Flip(place, bit) => file[place.index(length)] ^= 1 << bit,
            Self::SetHeader(place, value) => file[place.index(length.min(HEADER))] = *value,
            Self::Cut(place) => file.truncate(place.index(length)),
            Self::Drop(place, count) => drop(file.drain(span(place, *count))),
            Self::Double(place, count) => {
                let copy = file[span(place, *count)].to_vec();
                file.splice(place.index(length)..place.index(length), copy);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(place, value)| Damage::Set(place, value)),
        2 => (place(), 0..8_u8).prop_map(|(place, bit)| Damage::Flip(place, bit)),
        4 => (place(), any::<u8>()).prop_map(|(place, value)| Damage::SetHeader(place, value)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), 1..32_usize).prop_map(|(place, count)| Damage::Drop(place, count)),
        1 => (place(), 1..32_usize).prop_map(|(place, count)| Damage::Double(place, count)),
    ]
}

fn files() -> Vec<Vec<u8>> {
    let odd = golden("images").into_iter().map(|entry| fixture(entry["file"].as_str().unwrap()));
    let matrices = ["jpeg-matrix", "jpeg-irregular", "bmp-matrix"].into_iter().flat_map(matrix);
    odd.chain(matrices.map(|(_, file)| file)).collect()
}

fn holds_its_pixels(image: &Image) -> bool {
    image.rgb().len() as u64 == u64::from(image.width()) * u64::from(image.height()) * 3
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn a_damaged_file_gives_an_image_or_words(file in prop::sample::select(files()), damages in prop::collection::vec(damage(), 1..5)) {
        let mut file = file;
        damages.iter().for_each(|damage| damage.apply(&mut file));
        match decode(file, MEMORY) {
            Ok(image) => prop_assert!(holds_its_pixels(&image)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_bytes_give_words(start in prop::sample::select(vec![&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"BM", b""]), rest: Vec<u8>) {
        let file = [start, &rest].concat();
        prop_assert!(decode(file, MEMORY).is_err());
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let several_scans =
        matrix("jpeg-matrix").into_iter().find(|(entry, _)| entry["name"].as_str().unwrap().starts_with("420_each_37"));
    let several_scans = several_scans.map(|(_, file)| ("several scans", file)).unwrap();
    let named =
        ["baseline-420.jpg", "progressive-420.jpg", "grey.jpg", "cmyk-adobe.jpg"].map(|name| (name, fixture(name)));
    for (name, file) in named.into_iter().chain([several_scans]) {
        for length in 0..file.len() {
            assert!(decode(file[..length].to_vec(), MEMORY).is_err(), "{name} cut to {length} of {} bytes", file.len());
        }
    }
}

#[test]
fn a_png_or_bmp_cut_within_its_pixels_is_refused() {
    for (name, end) in [("rgb.png", 60), ("interlaced.png", 60), ("24-bit.bmp", 2), ("8-bit.bmp", 2)] {
        let file = fixture(name);
        for length in 0..file.len() - end {
            assert!(decode(file[..length].to_vec(), MEMORY).is_err(), "{name} cut to {length} of {} bytes", file.len());
        }
    }
}
