//! JPEG images whose colours are sampled in every combination that the format can state.
//!
//! Encoders write four or five of them, decoders have been wrong about the rest. What must come out
//! at the middle of a unit is known, since each unit has one colour.

use carafe_core::image::{Error, decode};

use crate::MEMORY;
use crate::encoder::{Jpeg, Sampling, places};

const UNITS: u32 = 3;
/// The format's limit on blocks in a unit.
const BLOCKS: u32 = 10;

/// Luma, or one of both chromas, of a unit.
fn level(component: usize, x: u32, y: u32) -> i32 {
    let place = (y * UNITS + x) as i32;
    [60 + place * 15, 100 + place * 6, 150 - place * 6][component]
}

fn rgb(x: u32, y: u32) -> [f64; 3] {
    let [luma, blue, red] = [0, 1, 2].map(|component| f64::from(level(component, x, y)));
    let (blue, red) = (blue - 128.0, red - 128.0);
    [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
}

/// Whether the image was decoded; wrong colours are a failure, a refusal in words is not.
fn comes_out_right(sampling: [Sampling; 3], progressive: bool, one_scan_each: bool) -> bool {
    let mut jpeg = Jpeg { sampling: &sampling, width: 0, height: 0, progressive, one_scan_each, level: &level };
    let (across, down) = jpeg.unit();
    (jpeg.width, jpeg.height) = (across * UNITS - 3, down * UNITS - 3);
    let image = match decode(jpeg.encode(), MEMORY) {
        Ok(image) => image,
        Err(Error::Unsupported { .. }) => return false,
        Err(other) => panic!("{sampling:?}: {other}"),
    };
    for (y, x) in places(UNITS, UNITS) {
        let middle = ((y * down + down / 2) * jpeg.width + x * across + across / 2) as usize * 3;
        for (found, expected) in image.rgb()[middle..middle + 3].iter().zip(rgb(x, y)) {
            let error = (f64::from(*found) - expected.clamp(0.0, 255.0)).abs();
            assert!(error <= 3.0, "{sampling:?} in unit {x}, {y}: {found} instead of {expected}");
        }
    }
    true
}

#[test]
fn every_sampling_comes_out_in_its_colours_or_is_refused_in_words() {
    let factors: Vec<Sampling> = (1..=4).flat_map(|across| (1..=4).map(move |down| (across, down))).collect();
    let (mut right, mut tried) = (0, 0);
    for &luma in &factors {
        for &blue in &factors {
            for &red in &factors {
                let blocks: u32 = [luma, blue, red].iter().map(|(across, down)| across * down).sum();
                if blocks <= BLOCKS {
                    right += u32::from(comes_out_right([luma, blue, red], false, false));
                    tried += 1;
                }
            }
        }
    }
    assert!(right > 50, "only {right} of {tried} samplings came out");
}

#[test]
fn the_samplings_that_encoders_write_come_out() {
    for luma in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (1, 4)] {
        for (progressive, one_scan_each) in [(false, false), (true, false), (false, true)] {
            assert!(comes_out_right([luma, (1, 1), (1, 1)], progressive, one_scan_each), "{luma:?} was refused");
        }
    }
}
