//! The rules of `model.toml`: a right manifest of each task passes, and every way to spoil one is
//! refused in words.

use carafe_models::manifest::{FORMAT, Manifest, ParseError};

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
    assert_eq!(text.text.as_ref().map(|text| (text.context_length, text.prefill_chunk)), Some((64, 64)));
    assert_eq!(text.files.all().count(), 4);
    let image = Manifest::parse(IMAGE).expect("an image model");
    assert_eq!(image.image.map(|image| (image.width, image.score_zero_point)), Some((224, Some(58))));
}

#[test]
fn a_chat_model_has_a_template_the_tokens_that_it_names_and_defaults_of_its_own() {
    let template = TEXT.lines().find(|line| line.starts_with("tokenizer = ")).expect("a tokenizer");
    let template =
        template.replace("tokenizer = ", "chat_template = ").replace("tokenizer.json", "chat_template.jinja");
    let chat = "weight_bits = 8\nspecial_tokens = { eos_token = \"</s>\" }\ngeneration = { top_k = 20, top_p = 0.95 }";
    let manifest = TEXT.replace("[files]", &format!("[files]\n{template}")).replace("weight_bits = 8", chat);
    let manifest = Manifest::parse(&manifest).expect("a chat model");
    assert_eq!(manifest.files.all().count(), 5);
    let text = manifest.text.expect("a text model");
    assert_eq!(text.special_tokens.get("eos_token").map(String::as_str), Some("</s>"));
    assert_eq!(
        (text.generation.top_k, text.generation.top_p, text.generation.temperature),
        (Some(20), Some(0.95), None)
    );
}

#[test]
fn other_formats_are_told_apart_from_a_broken_manifest() {
    let newer = TEXT.replace("format = 2", "format = 3\nfuture = true");
    assert_eq!(Manifest::parse(&newer).err(), Some(ParseError::NewerFormat(FORMAT + 1)));
    let older = TEXT.replace("format = 2", "format = 1\npast = true");
    assert_eq!(Manifest::parse(&older).err(), Some(ParseError::OlderFormat(1)));
    assert!(refusal(TEXT, "format = 2", "format = 0").contains("`format`"));
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
        ("[text]", "[[inputs]]\nname = \"x\"\nrole = \"pixels\"\ntype = \"i32\"\nshape = [1]\n\n[text]", "inputs"),
        ("prefill_chunk = 64", "prefill_chunk = 0", "prefill_chunk"),
        ("prefill_chunk = 64", "prefill_chunk = 48", "multiple of 32"),
        ("eos_token_ids = [0]", "eos_token_ids = [512]", "512"),
        ("context_length = 64", "context_length = 0", "context_length"),
        ("tokenizer = ", "labels = ", "labels"),
        ("weight_bits = 8", "weight_bits = 8\nspecial_tokens = { end = \"</s>\" }", "bos_token"),
        ("weight_bits = 8", "weight_bits = 8\ngeneration = { temperature = 2.5 }", "`generation.temperature` is 2.5"),
        ("weight_bits = 8", "weight_bits = 8\ngeneration = { top_k = 0 }", "top_k"),
        ("weight_bits = 8", "weight_bits = 8\ngeneration = { min_p = 1.0 }", "below 1"),
        ("weight_bits = 8", "weight_bits = 8\ngeneration = { repetition_penalty = 0.0 }", "repetition_penalty"),
        ("weight_bits = 8", "weight_bits = 8\ngeneration = { beams = 2 }", "beams"),
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
        ("role = \"pixels\"", "role = \"scores\"", "pixels"),
        ("role = \"pixels\"", "role = \"dreams\"", "unknown word `dreams`, expected `pixels` or `scores`"),
        ("type = \"u8\"", "type = \"i64\"", "i64"),
    ];
    for (from, to, word) in cases {
        let reason = refusal(IMAGE, from, to);
        assert!(reason.contains(word), "`{to}`: no `{word}` in {reason}");
    }
}
