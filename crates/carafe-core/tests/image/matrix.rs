//! JPEG files of every kind (modes, samplings, orders of scans, restart intervals, places of
//! tables, sizes), irregular ones, and BMPs.
//!
//! `python -m carafe_tools image-matrix` makes the files and hashes what Pillow reads of them.

use carafe_core::image::{Image, decode};
use serde_json::Value;

use crate::MEMORY;
use crate::files::fixture_in;

/// The files of a matrix with what is known of each.
pub(crate) fn matrix(name: &str) -> Vec<(Value, Vec<u8>)> {
    let description: Value = serde_json::from_slice(&fixture_in("image-matrix", &format!("{name}.json"))).unwrap();
    let all = fixture_in("image-matrix", &format!("{name}.bin"));
    let mut rest = all.as_slice();
    let files = description["files"].as_array().unwrap().iter();
    files
        .map(|entry| {
            let (file, after) = rest.split_at(entry["bytes"].as_u64().unwrap() as usize);
            rest = after;
            (entry.clone(), file.to_vec())
        })
        .collect()
}

fn fnv(bytes: &[u8]) -> String {
    let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// What is wrong with an image that must be as the entry says.
fn difference(entry: &Value, image: &Image) -> Option<String> {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    if (Some(width), Some(height)) != (entry["width"].as_u64(), entry["height"].as_u64()) {
        return Some(format!("it has {width} x {height} pixels"));
    }
    (entry["fnv"] != fnv(image.rgb())).then(|| "its pixels are others".to_owned())
}

/// Files that do not come out as Pillow reads them.
fn wrong(name: &str) -> Vec<String> {
    let files = matrix(name).into_iter();
    let wrong = files.filter_map(|(entry, file)| {
        let problem = match decode(file, MEMORY) {
            Ok(image) if entry["fnv"].is_null() => {
                Some(format!("it was read ({} x {})", image.width(), image.height()))
            }
            Ok(image) => difference(&entry, &image),
            Err(_) if entry["fnv"].is_null() => None,
            Err(error) => Some(error.to_string()),
        };
        problem.map(|problem| format!("{}: {problem}", entry["name"]))
    });
    wrong.collect()
}

#[test]
fn jpegs_of_every_kind_give_the_same_bits_as_pillow() {
    assert!(matrix("jpeg-matrix").len() > 300);
    let wrong = wrong("jpeg-matrix");
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn irregular_jpegs_give_the_same_bits_as_pillow_or_are_refused_if_data_is_missing() {
    let wrong = wrong("jpeg-irregular");
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn bmps_of_every_kind_show_what_viewers_show() {
    let wrong = wrong("bmp-matrix");
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn files_that_were_reported_give_the_same_bits_as_pillow() {
    // One scan a component came out green-striped, and was refused with tables before each scan; no
    // tables and stray bytes were refused.
    let files = [
        ("y-first.jpg", "36f5f13448fd34e4"),
        ("cb-first-late.jpg", "36f5f13448fd34e4"),
        ("no-dht.jpg", "3aaaba53fcf6c922"),
        ("junk-between.jpg", "3aaaba53fcf6c922"),
    ];
    for (name, expected) in files {
        let image = decode(fixture_in("image-reports", name), MEMORY).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fnv(image.rgb()), expected, "{name}");
    }
}
