//! Every form that an image file takes comes out right or is refused in words.
//!
//! The files and what is expected of them (`golden.json`) are made by `python -m carafe_tools
//! images`, which decodes and scales them with Pillow.

use std::path::PathBuf;

use carafe_core::image::{Channels, Error, Filter, Image, Layout, PixelValues, Preparation, ResizeRule, decode};
use serde_json::Value;

use crate::MEMORY;

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fixture_in("images", name)
}

pub(crate) fn fixture_in(folder: &str, name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(folder).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("failed to read `{}`: {error}", path.display()))
}

pub(crate) fn golden(list: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_slice(&fixture("golden.json")).unwrap();
    golden[list].as_array().unwrap().clone()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn colour_at(image: &Image, x: u32, y: u32) -> [u8; 3] {
    let start = (y * image.width() + x) as usize * 3;
    image.rgb()[start..start + 3].try_into().unwrap()
}

/// The name of a refusal in `wit/image.wit`.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::InvalidImage { .. } => "invalid-image",
        Error::FileTooLarge { .. } | Error::TooLarge { .. } => "too-large",
        Error::Unsupported { .. } => "unsupported",
        _ => "another",
    }
}

#[test]
fn every_whole_image_comes_out_upright_in_the_colours_that_pillow_reads() {
    let whole: Vec<Value> = golden("images").into_iter().filter(|entry| entry["refused"].is_null()).collect();
    assert!(whole.len() > 30, "only {} images in golden.json", whole.len());
    for entry in whole {
        let name = entry["file"].as_str().unwrap();
        let image = decode(fixture(name), MEMORY).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((image.width(), image.height()), (number(&entry["width"]), number(&entry["height"])), "{name}");
        for point in entry["points"].as_array().unwrap() {
            let [x, y, rgb @ ..] = point.as_array().unwrap().as_slice() else { panic!("{name}: {point}") };
            let found = colour_at(&image, number(x), number(y));
            let expected: Vec<u32> = rgb.iter().map(number).collect();
            assert_eq!(found.map(u32::from), *expected, "{name} at {x}, {y}");
        }
    }
}

#[test]
fn jpegs_of_the_usual_kinds_give_the_same_bits_as_pillow() {
    let cases = golden("decoded");
    assert!(cases.len() >= 10, "only {} cases in golden.json", cases.len());
    for case in cases {
        let load = |key: &str| decode(fixture(case[key].as_str().unwrap()), MEMORY).unwrap();
        assert_eq!(load("file"), load("expected"), "{case}");
    }
}

#[test]
fn every_broken_image_is_refused_with_its_kind_and_in_words() {
    let refused: Vec<Value> = golden("images").into_iter().filter(|entry| !entry["refused"].is_null()).collect();
    assert!(refused.len() > 10, "only {} refusals in golden.json", refused.len());
    for entry in refused {
        let name = entry["file"].as_str().unwrap();
        let error = decode(fixture(name), MEMORY).expect_err(name);
        assert_eq!(kind(&error), entry["refused"].as_str().unwrap(), "{name}: {error}");
        assert!(error.to_string().len() > 30, "{name}: {error}");
    }
}

#[test]
fn resizing_gives_the_same_bits_as_pillow() {
    let cases = golden("resized");
    assert!(cases.len() > 10, "only {} cases in golden.json", cases.len());
    for case in cases {
        let preparation = Preparation {
            width: number(&case["width"]),
            height: number(&case["height"]),
            layout: Layout::Nhwc,
            channels: Channels::Rgb,
            resize: case["resize_side"].as_u64().map_or(ResizeRule::Stretch, |side| ResizeRule::Crop(side as u32)),
            filter: if case["filter"] == "bilinear" { Filter::Bilinear } else { Filter::Bicubic },
            pixels: PixelValues::Raw,
        };
        let load = |key: &str| decode(fixture(case[key].as_str().unwrap()), MEMORY).unwrap();
        let resized = preparation.resize(&load("file"), MEMORY).unwrap();
        assert_eq!(resized, load("expected"), "{case}");
    }
}

#[test]
fn a_refusal_names_what_is_wrong() {
    let refusal = |name| decode(fixture(name), MEMORY).unwrap_err().to_string();
    assert_eq!(refusal("truncated.jpg"), "the JPEG image is damaged or cut off: the file ends before the image does");
    assert_eq!(
        refusal("text.jpg"),
        "files of an unknown kind are not supported: convert the image to an ordinary JPEG, PNG or BMP file"
    );
    assert_eq!(refusal("empty.jpg"), "the image file is empty; expected a JPEG, PNG or BMP file");
    assert_eq!(
        refusal("small.gif"),
        "GIF images are not supported: convert the image to an ordinary JPEG, PNG or BMP file"
    );
}

#[test]
fn a_bomb_is_refused_from_its_header_with_its_size_and_the_limit() {
    let refusal = decode(fixture("bomb.png"), MEMORY).unwrap_err().to_string();
    assert!(refusal.contains("50000 x 50000"), "{refusal}");
    assert!(refusal.ends_with("the limit is 134217728"), "{refusal}");
}

/// The refusal of a small image whose header claims another size.
fn refusal_of_size(name: &str, frame: u8, width: u16, height: u16) -> Error {
    let mut file = fixture(name);
    let frame = file.windows(2).position(|pair| pair == [0xff, frame]).unwrap();
    file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    decode(file, MEMORY).unwrap_err()
}

#[test]
fn twenty_four_megapixels_pass_the_header_and_fifty_four_do_not() {
    assert_eq!(kind(&refusal_of_size("baseline-444.jpg", 0xc0, 6000, 4000)), "invalid-image");
    assert_eq!(kind(&refusal_of_size("baseline-444.jpg", 0xc0, 9000, 6000)), "too-large");
}

#[test]
fn a_large_jpeg_made_of_little_data_is_refused_before_it_is_decoded() {
    for (name, frame) in [("baseline-444.jpg", 0xc0), ("progressive-420.jpg", 0xc2)] {
        let refusal = refusal_of_size(name, frame, 3000, 3000).to_string();
        assert!(refusal.ends_with("bytes of data are too few for its size"), "{name}: {refusal}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let refusal = decode(vec![0xff; carafe_core::image::FILE_LIMIT + 1], MEMORY).unwrap_err().to_string();
    assert_eq!(refusal, "the image file has 20971521 bytes, the limit is 20971520");
}
