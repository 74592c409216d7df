//! Damaged JPEG files with numbers beyond what they can be: coefficients that no samples give, of
//! which libjpeg makes pixels that differ from machine to machine; and tables that libjpeg refuses.

use carafe_core::image::decode;

use crate::MEMORY;
use crate::files::{fixture, fixture_in};

fn is_refused(name: &str, file: Vec<u8>) {
    let refusal = decode(file, MEMORY).expect_err(name).to_string();
    assert!(refusal.ends_with("a block has coefficients beyond what samples can be"), "{name}: {refusal}");
}

#[test]
fn one_changed_step_that_makes_coefficients_too_large_is_refused() {
    // Came out in other pixels than Pillow's.
    let mut file = fixture_in("image-reports", "cb-first-late.jpg");
    assert_eq!(std::mem::replace(&mut file[7], 194), 3);
    is_refused("cb-first-late.jpg", file);
}

#[test]
fn coefficients_beyond_samples_are_refused_in_every_kind_of_file() {
    for name in ["baseline-420.jpg", "progressive-420.jpg", "grey.jpg", "grey-progressive.jpg", "cmyk-adobe.jpg"] {
        let mut file = fixture(name);
        let tables: Vec<usize> = memchr::memmem::find_iter(&file, b"\xff\xdb\0\x43").collect();
        assert!(!tables.is_empty(), "{name}");
        tables.iter().for_each(|table| file[table + 5..table + 69].fill(255));
        is_refused(name, file);
    }
}

#[test]
fn a_table_with_a_difference_of_more_than_fifteen_bits_is_refused_as_libjpeg_refuses_it() {
    let mut file = fixture("decode-37x23-420.jpg");
    let table = memchr::memmem::find(&file, b"\xff\xc4\0\x1f\0").unwrap();
    // The rarest symbol, which no block uses.
    file[table + 32] = 0x1b;
    assert!(decode(file, MEMORY).is_err());
}
