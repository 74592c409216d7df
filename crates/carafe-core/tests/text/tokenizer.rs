//! The tokenizer against published vectors, and what it refuses.

use std::path::Path;

use carafe_core::text::{MAX_TEXT_BYTES, Tokenizer, TokenizerError};
use serde_json::{Value, json};

use crate::fake;

/// A file of GPT-2's tokenizer; its origin is told in the notice beside it.
fn gpt2(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gpt2-tokenizer");
    std::fs::read(folder.join(name)).unwrap()
}

/// Why a tokenizer is refused in which `change` was made.
fn refusal(change: impl FnOnce(&mut Value)) -> TokenizerError {
    let mut json = fake::tokenizer_json();
    change(&mut json);
    Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap_err()
}

#[test]
fn the_published_vectors_of_gpt2_encode_and_decode() {
    let tokenizer = Tokenizer::from_bytes(&gpt2("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 50_257);
    let vectors: Vec<Value> = serde_json::from_slice(&gpt2("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 26);
    for vector in vectors {
        let text = vector["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(vector["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

#[test]
fn every_byte_of_gpt2_has_a_token_and_an_emoji_has_three() {
    let tokenizer = Tokenizer::from_bytes(&gpt2("tokenizer.json")).unwrap();
    let single: Vec<&[u8]> = (0..256).filter_map(|id| tokenizer.token_bytes(id)).collect();
    let mut bytes: Vec<u8> = single.concat();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    let emoji = [12_520, 234, 235];
    let pieces: Vec<&[u8]> = emoji.iter().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces.concat(), " 🌍".as_bytes());
    assert_eq!(tokenizer.token_bytes(50_256), Some(&b"<|endoftext|>"[..]));
    assert_eq!(tokenizer.token_bytes(50_257), None);
}

/// The regular expression that parts words has a stack, and whatever follows a failure of it would
/// be taken for one word.
#[test]
fn words_after_the_longest_run_of_spaces_are_still_parted() {
    let tokenizer = fake::tokenizer();
    let words = "a the a";
    let text = format!("{}{words}", " ".repeat(MAX_TEXT_BYTES - words.len()));
    let ids = tokenizer.encode(&text).unwrap();
    let pieces: Vec<&[u8]> = ids.iter().rev().take(6).rev().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces, [&b" "[..], b" ", b"a", b" the", b" ", b"a"]);
    assert!(tokenizer.decode(&ids).unwrap() == text);
}

#[test]
fn a_text_over_the_limit_is_refused() {
    let error = fake::tokenizer().encode(&" ".repeat(MAX_TEXT_BYTES + 1)).unwrap_err();
    assert_eq!(error.to_string(), "the text has 500001 bytes; at most 500000 are encoded at once");
}

#[test]
fn a_special_token_in_text_is_text() {
    let tokenizer = fake::tokenizer();
    let ids = tokenizer.encode("a<|endoftext|>b").unwrap();
    assert!(!ids.contains(&fake::EOS));
    assert_eq!(ids.len(), "a<|endoftext|>b".len());
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|endoftext|>b");
    assert_eq!(tokenizer.decode(&[fake::EOS]).unwrap(), "<|endoftext|>");
}

#[test]
fn a_special_token_is_its_own_text_and_not_bytes_written_as_characters() {
    let json = fake::tokenizer_json().to_string().replace("<|endoftext|>", "<é>");
    let tokenizer = Tokenizer::from_bytes(json.as_bytes()).unwrap();
    assert_eq!(tokenizer.token_bytes(fake::EOS), Some("<é>".as_bytes()));
}

#[test]
fn merges_are_applied_and_their_tokens_have_the_bytes_of_both_parts() {
    let tokenizer = fake::tokenizer();
    let ids = tokenizer.encode("hell the").unwrap();
    let pieces: Vec<&[u8]> = ids.iter().filter_map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(pieces, [&b"hell"[..], b" the"]);
    assert_eq!(tokenizer.longest_token(), "<|endoftext|>".len());
}

#[test]
fn an_unknown_id_is_refused_with_the_limit() {
    let error = fake::tokenizer().decode(&[1, 263]).unwrap_err();
    assert_eq!(error.to_string(), "token 263 is outside the tokenizer's vocabulary of 263");
}

#[test]
fn bytes_that_are_no_tokenizer_are_refused() {
    let error = Tokenizer::from_bytes(b"{").unwrap_err();
    assert_eq!(error.to_string(), "failed to read the tokenizer");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn every_part_that_would_change_tokens_is_refused_by_name() {
    let changes: [(&str, &str, Value); 9] = [
        ("normalizer", "/normalizer", json!({"type": "Lowercase"})),
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
        ("pre_tokenizer", "/pre_tokenizer/add_prefix_space", json!(true)),
        ("pre_tokenizer", "/pre_tokenizer/use_regex", json!(false)),
        ("pre_tokenizer", "/pre_tokenizer", json!({"type": "Whitespace"})),
        ("decoder", "/decoder", Value::Null),
        ("added_tokens", "/added_tokens/0/lstrip", json!(true)),
        ("model", "/model/ignore_merges", json!(true)),
    ];
    for (part, pointer, value) in changes {
        let error = refusal(|json| *json.pointer_mut(pointer).unwrap() = value);
        let expected = format!("the tokenizer is no byte-level BPE as GPT-2's: `{part}` must be ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn a_model_that_is_no_bpe_is_refused() {
    let error = refusal(|json| json["model"] = json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}));
    assert_eq!(error.to_string(), "the tokenizer is no byte-level BPE as GPT-2's: `model` must be `BPE`");
}

#[test]
fn a_vocabulary_without_some_byte_is_refused() {
    let error = refusal(|json| {
        json["model"]["vocab"].as_object_mut().unwrap().remove("z");
    });
    assert_eq!(error.to_string(), "the tokenizer has no token for byte 0x7a");
}

#[test]
fn a_gap_in_the_ids_is_refused() {
    let error = refusal(|json| json["model"]["vocab"]["hell"] = json!(300));
    let expected = "the tokenizer has 263 tokens, but none with id 261; ids must run from 0 without gap";
    assert_eq!(error.to_string(), expected);
}
