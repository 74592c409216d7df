//! The tokenizer against published vectors, and what it refuses.

use std::path::Path;

use carafe_core::tokenizer::{EncodeOptions, MAX_TEXT_BYTES, Tokenizer, TokenizerError, compact_form};
use serde_json::{Value, json};

use crate::fake;

/// A file of GPT-2's tokenizer; its origin is stated in the notice beside it.
fn gpt2(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gpt2-tokenizer");
    std::fs::read(folder.join(name)).unwrap()
}

/// The tokens of a text as a user types it.
fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, EncodeOptions::default()).unwrap()
}

/// Why a tokenizer is refused in which `change` was made.
fn refusal(change: impl FnOnce(&mut Value)) -> TokenizerError {
    let mut json = fake::tokenizer_json();
    change(&mut json);
    fake::open(&json).unwrap_err()
}

#[test]
fn the_published_vectors_of_gpt2_encode_and_decode() {
    let tokenizer = Tokenizer::open(&compact_form(&gpt2("tokenizer.json")).unwrap()).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 50_257);
    let vectors: Vec<Value> = serde_json::from_slice(&gpt2("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 26);
    for vector in vectors {
        let text = vector["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(vector["ids"].clone()).unwrap();
        assert_eq!(encode(&tokenizer, text), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

#[test]
fn every_byte_of_gpt2_has_a_token_and_an_emoji_has_three() {
    let tokenizer = Tokenizer::open(&compact_form(&gpt2("tokenizer.json")).unwrap()).unwrap();
    let single: Vec<Vec<u8>> = (0..256).filter_map(|id| tokenizer.token_bytes(id)).collect();
    let mut bytes: Vec<u8> = single.concat();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    let emoji = [12_520, 234, 235];
    let pieces: Vec<Vec<u8>> = emoji.iter().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces.concat(), " 🌍".as_bytes());
    assert_eq!(tokenizer.token_bytes(50_256), Some(b"<|endoftext|>".to_vec()));
    assert_eq!(tokenizer.token_bytes(50_257), None);
}

/// The regular expression that parts words has a stack, and whatever follows a failure of it would
/// be taken for one word.
#[test]
fn words_after_the_longest_run_of_spaces_are_still_parted() {
    let tokenizer = fake::tokenizer();
    let words = "a the a";
    let text = format!("{}{words}", " ".repeat(MAX_TEXT_BYTES - words.len()));
    let ids = encode(&tokenizer, &text);
    let pieces: Vec<Vec<u8>> = ids.iter().rev().take(6).rev().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces, [&b" "[..], b" ", b"a", b" the", b" ", b"a"]);
    assert!(tokenizer.decode(&ids).unwrap() == text);
}

#[test]
fn a_text_over_the_limit_is_refused() {
    let error = fake::tokenizer().encode(&" ".repeat(MAX_TEXT_BYTES + 1), EncodeOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "the text has 500001 bytes; at most 500000 are encoded at once");
}

#[test]
fn a_special_token_in_text_is_text() {
    let tokenizer = fake::tokenizer();
    let ids = encode(&tokenizer, "a<|endoftext|>b");
    assert!(!ids.contains(&fake::EOS));
    assert_eq!(ids.len(), "a<|endoftext|>b".len());
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|endoftext|>b");
    assert_eq!(tokenizer.decode(&[fake::EOS]).unwrap(), "<|endoftext|>");
}

#[test]
fn a_special_token_is_its_own_text_and_not_bytes_written_as_characters() {
    let json = fake::tokenizer_json().to_string().replace("<|endoftext|>", "<é>");
    let tokenizer = Tokenizer::open(&compact_form(json.as_bytes()).unwrap()).unwrap();
    assert_eq!(tokenizer.token_bytes(fake::EOS), Some("<é>".as_bytes().to_vec()));
}

#[test]
fn merges_are_applied_and_their_tokens_have_the_bytes_of_both_parts() {
    let tokenizer = fake::tokenizer();
    let ids = encode(&tokenizer, "hell the");
    let pieces: Vec<Vec<u8>> = ids.iter().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces, [&b"hell"[..], b" the"]);
    assert_eq!(tokenizer.least_tokens(2 * "<|endoftext|>".len()), 2);
}

#[test]
fn an_unknown_id_is_refused_with_the_limit() {
    let error = fake::tokenizer().decode(&[1, 263]).unwrap_err();
    assert_eq!(error.to_string(), "token 263 is not in the tokenizer's vocabulary; its ids are below 263");
}

#[test]
fn bytes_that_are_no_tokenizer_are_refused() {
    let error = compact_form(b"{").unwrap_err();
    assert_eq!(error.to_string(), "failed to read the tokenizer");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn every_part_that_would_change_tokens_is_refused_by_name() {
    let changes: [(&str, &str, Value); 7] = [
        (
            "truncation",
            "/truncation",
            json!({"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}),
        ),
        (
            "padding",
            "/padding",
            json!({"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"}),
        ),
        ("decoder", "/decoder", json!({"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true})),
        ("decoder", "/decoder", json!({"type": "Strip", "content": " ", "start": 1, "stop": 1})),
        ("model.dropout", "/model/dropout", json!(0.5)),
        ("model.type", "/model/type", json!("WordLevel")),
        ("model.vocab", "/model/vocab", json!([["a", -1.0]])),
    ];
    for (part, pointer, value) in changes {
        let error = refusal(|json| *json.pointer_mut(pointer).unwrap() = value);
        let expected = format!("the tokenizer's `{part}` must be ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn a_text_with_a_byte_that_has_no_token_is_refused_rather_than_shortened() {
    let mut json = fake::tokenizer_json();
    json["model"]["vocab"].as_object_mut().unwrap().remove("z");
    let tokenizer = fake::open(&json).unwrap();
    assert_eq!(encode(&tokenizer, "yx").len(), 2);
    let error = tokenizer.encode("fizz", EncodeOptions::default()).unwrap_err();
    let expected = "the tokenizer has no token for `z` (U+007A), and none for what is unknown; take it out";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_character_without_a_token_is_named_and_not_the_letter_of_its_byte() {
    let mut json = fake::tokenizer_json();
    // The letters of the bytes 0x06 and 0xB8, the second one of `世`.
    for letter in ["\u{106}", "\u{b8}"] {
        assert!(json["model"]["vocab"].as_object_mut().unwrap().remove(letter).is_some());
    }
    let tokenizer = fake::open(&json).unwrap();
    for (text, expected) in [("a\u{6}b", "for U+0006, and"), ("x 世界", "for `世` (U+4E16), and")] {
        let error = tokenizer.encode(text, EncodeOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn ids_may_have_gaps_which_no_token_has() {
    let mut json = fake::tokenizer_json();
    json["model"]["vocab"]["hell"] = json!(300);
    let tokenizer = fake::open(&json).unwrap();
    assert_eq!((tokenizer.vocabulary_size(), tokenizer.has_token(261), tokenizer.has_token(300)), (301, false, true));
    assert_eq!(encode(&tokenizer, "hell"), [300]);
    assert!(matches!(tokenizer.decode(&[261]), Err(TokenizerError::UnknownToken { id: 261, size: 301 })));
}

#[test]
fn two_tokens_with_one_id_and_ids_out_of_all_bounds_are_refused_by_name() {
    let twice = refusal(|json| json["model"]["vocab"]["hell"] = json!(1));
    assert!(twice.to_string().starts_with("the tokenizer gives id 1 to both `"), "{twice}");
    let huge = refusal(|json| json["added_tokens"][0] = json!({"id": 4_000_000_000u32, "content": "x y"}));
    assert_eq!(huge.to_string(), "the tokenizer gives `x y` the id 4000000000; ids must be below 16777216");
    let merge = refusal(|json| json["model"]["merges"] = json!(["h q"]));
    assert_eq!(merge.to_string(), "merge 0 of the tokenizer needs the token `hq`, which its vocabulary lacks");
}
