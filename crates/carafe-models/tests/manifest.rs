//! The rules of `model.toml`: a right manifest of each task passes, and every way to spoil one is refused in words.

use carafe_models::manifest::{FORMAT, Manifest, ParseError, Role};

const TEXT: &str = include_str!("manifests/text.toml");
const IMAGE: &str = include_str!("manifests/image.toml");

/// What is wrong with a manifest in which one text is replaced by another.
fn refusal(manifest: &str, from: &str, to: &str) -> String {
    assert!(manifest.contains(from), "nothing to spoil: `{from}`");
    match Manifest::parse(&manifest.replace(from, to)) {
        Err(ParseError::Invalid(reason)) => reason,
        other => panic!("`{to}` in place of `{from}` gave {other:?}"),
    }
}

#[test]
fn right_manifests_of_both_tasks_are_read() {
    let text = Manifest::parse(TEXT).expect("a text model");
    assert_eq!(text.input(Role::BeamIdx).map(|tensor| tensor.name.as_str()), Some("beam_idx"));
    assert_eq!(text.files.all().count(), 4);
    let image = Manifest::parse(IMAGE).expect("an image model");
    assert_eq!(image.image.map(|image| (image.width, image.score_zero_point)), Some((224, Some(58))));
}

#[test]
fn a_newer_format_is_told_apart_from_a_broken_manifest() {
    let newer = TEXT.replace("format = 1", "format = 2\nfuture = true");
    assert_eq!(Manifest::parse(&newer).err(), Some(ParseError::NewerFormat(FORMAT + 1)));
    assert!(refusal(TEXT, "format = 1", "format = 0").contains("`format`"));
}

#[test]
fn names_that_mean_something_to_a_file_system_are_refused() {
    for name in ["", "..", "a/b", "A", "-x", ".hidden", "a b", &"n".repeat(65)] {
        assert!(refusal(TEXT, "name = \"small\"", &format!("name = \"{name}\"")).contains("`name`"), "{name:?}");
    }
    for path in ["", "../model.xml", "/etc/passwd", "a/b", "a\\\\b", ".hidden", "C:model.xml"] {
        let reason = refusal(TEXT, "\"model.xml\"", &format!("\"{path}\""));
        assert!(reason.contains("plain file name"), "{path:?}: {reason}");
    }
}

#[test]
fn every_spoilt_text_manifest_is_refused_by_what_is_wrong() {
    let cases = [
        ("task = \"text-generation\"", "task = \"dreaming\"", "dreaming"),
        ("description = ", "colour = \"red\"\ndescription = ", "colour"),
        ("weight_bits = 8", "weight_bits = 8\nheads = 2", "heads"),
        ("sha256 = \"00", "sha256 = \"0G", "sha256"),
        ("role = \"beam-idx\"", "role = \"input-ids\"", "two inputs"),
        ("name = \"beam_idx\"", "name = \"input_ids\"", "two inputs"),
        ("type = \"i32\"", "type = \"i64\"", "i64"),
        ("shape = [\"B\", \"P+S\"]", "shape = [\"B\", \"S\"]", "attention_mask"),
        ("shape = [\"N\", 512]", "shape = [\"N\", 511]", "logits"),
        ("step = 128", "step = 129", "bounds.step"),
        ("batch = 16", "batch = 0", "bounds.batch"),
        ("positions = 4128", "positions = 64", "bounds.positions"),
        ("end_of_text = [0]", "end_of_text = [512]", "512"),
        ("context_length = 64", "context_length = 0", "context_length"),
        ("tokenizer = ", "labels = ", "labels"),
    ];
    for (from, to, word) in cases {
        let reason = refusal(TEXT, from, to);
        assert!(reason.contains(word), "`{to}`: no `{word}` in {reason}");
    }
}

#[test]
fn every_spoilt_image_manifest_is_refused_by_what_is_wrong() {
    let cases = [
        ("width = 224", "width = 0", "0 x 224"),
        ("resize = \"stretch\"", "resize = \"crop\"", "resize_side"),
        ("resize = \"stretch\"", "resize = \"crop\"\nresize_side = 100", "224"),
        ("pixels = \"raw\"", "pixels = \"normalised\"", "mean"),
        ("score_zero_point = 58\n", "", "score_zero_point"),
        ("score_scale = 0.1", "score_scale = 0.0", "score_scale"),
        ("layout = \"nhwc\"", "layout = \"nchw\"", "input"),
        ("shape = [1, 1001]", "shape = [1001]", "scores"),
    ];
    for (from, to, word) in cases {
        let reason = refusal(IMAGE, from, to);
        assert!(reason.contains(word), "`{to}`: no `{word}` in {reason}");
    }
}
