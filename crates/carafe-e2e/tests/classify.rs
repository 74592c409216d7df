//! `carafe classify`, by the real binary, against the results of a Python reference.

use std::fs;

use anyhow::{Context, Result};
use carafe_e2e::{root, run};
use serde_json::Value;

/// How far a probability may be from the reference's.
const TOLERANCE: f64 = 0.02;

fn golden() -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(root().join("fixtures/images/golden.json"))?)?)
}

#[test]
fn every_bundled_picture_shows_what_the_reference_says() -> Result<()> {
    let golden = golden()?;
    let pictures = golden["pictures"].as_object().context("no pictures")?;
    assert_eq!(pictures.len(), 4);
    let paths: Vec<String> = pictures.keys().map(|name| format!("images/{name}")).collect();
    for profile in ["fast", "exact"] {
        let mut arguments = vec!["classify", "--json", "--profile", profile];
        arguments.extend(paths.iter().map(String::as_str));
        let report = run(&arguments)?.json()?;
        for ((name, expected), got) in pictures.iter().zip(report.as_array().context("no list")?) {
            assert_eq!([&got["width"], &got["height"]], [&expected["width"], &expected["height"]], "{name}");
            assert_eq!(got["labels"][0]["label"], expected["top"][0]["label"], "{name} in {profile}");
            // The reference is in `exact`: `fast` rounds as the processor likes.
            if profile == "exact" {
                compare(name, &expected["top"], &got["labels"])?;
            }
        }
    }
    Ok(())
}

/// Every label of the reference is about as probable.
fn compare(name: &str, expected: &Value, got: &Value) -> Result<()> {
    let (expected, got) = (expected.as_array().context("no top")?, got.as_array().context("no labels")?);
    for label in expected {
        let probability = label["probability"].as_f64().context("no probability")?;
        let found = got.iter().find(|other| other["index"] == label["index"]);
        let found = found.and_then(|label| label["probability"].as_f64()).unwrap_or_default();
        assert!((found - probability).abs() <= TOLERANCE, "{name}: {label} against {found}");
    }
    Ok(())
}

#[test]
fn labels_times_and_a_summary_are_printed() -> Result<()> {
    let ran = run(&["classify", "images/parrot.jpg", "--top", "2"])?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.matches(" %  ").count(), 2, "{}", ran.out);
    for part in ["macaw", "decode", "resize", "model"] {
        assert!(ran.out.contains(part), "no `{part}` in {}", ran.out);
    }
    assert!(ran.err.contains("mobilenet-v2: profile auto") && ran.err.contains("guest memory"), "{}", ran.err);
    Ok(())
}

#[test]
fn what_is_no_image_is_refused_and_the_next_image_is_fine() -> Result<()> {
    let bad = ["truncated.jpg", "truncated.png", "text.jpg", "bomb.png", "bomb.jpg", "empty.jpg"];
    let mut arguments = vec!["classify".to_owned(), "--json".to_owned()];
    for name in bad {
        arguments.extend([format!("fixtures/images/{name}"), "images/parrot.jpg".to_owned()]);
    }
    arguments.push("does-not-exist.jpg".to_owned());
    let ran = run(&arguments)?;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let results: Vec<Value> = serde_json::from_str(&ran.out)?;
    for (pair, name) in results.chunks_exact(2).zip(bad) {
        let error = pair[0]["error"].as_str().with_context(|| format!("{name} was classified: {}", pair[0]))?;
        assert!(error.contains(name), "{error}");
        assert_eq!(pair[1]["labels"][0]["label"], "macaw", "after {name}: {}", pair[1]);
        assert!(pair[1]["guest_memory_bytes"].as_u64().is_some_and(|bytes| bytes <= 256 << 20), "{}", pair[1]);
    }
    assert!(results[12]["error"].as_str().is_some_and(|error| error.contains("does-not-exist.jpg")));
    Ok(())
}

#[test]
fn more_labels_than_there_are_cannot_be_asked_for() -> Result<()> {
    for top in ["0", "1002"] {
        let ran = run(&["classify", "images/parrot.jpg", "--top", top])?;
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
        assert!(ran.err.contains(top) && ran.err.contains("1001"), "{}", ran.err);
    }
    Ok(())
}
