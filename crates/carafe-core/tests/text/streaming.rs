//! The text of a request: whole characters, stop strings, EOS.

use carafe_core::text::FinishReason;
use carafe_core::tokenizer::EncodeOptions;

use crate::fake::{self, EOS, byte_token, greedy, run, script};

/// The tokens of each byte of `text`.
fn byte_tokens(text: &str) -> Vec<u32> {
    text.bytes().map(byte_token).collect()
}

#[test]
fn an_emoji_split_over_tokens_arrives_whole() {
    let outcome = run(script(2, byte_tokens("a👋b")), greedy(20));
    assert_eq!(outcome.texts, ["a", "", "", "", "👋", "b", "", ""]);
    assert_eq!(outcome.finished, Some((FinishReason::Eos, 7)));
}

#[test]
fn an_emoji_cut_off_by_the_length_ends_in_a_replacement() {
    let outcome = run(script(2, byte_tokens("a👋")), greedy(3));
    assert_eq!(outcome.texts, ["a", "", "", "\u{FFFD}"]);
    assert_eq!(outcome.finished, Some((FinishReason::Length, 3)));
}

#[test]
fn bytes_that_are_no_text_become_replacements_at_once() {
    let outcome = run(script(2, vec![byte_token(0xFF), byte_token(b'a')]), greedy(9));
    assert_eq!(outcome.texts, ["\u{FFFD}", "a", "", ""]);
}

#[test]
fn eos_is_a_token_without_text() {
    let outcome = run(script(2, byte_tokens("a")), greedy(9));
    assert_eq!(outcome.tokens, [byte_token(b'a'), EOS]);
    assert_eq!(outcome.texts, ["a", "", ""]);
    assert_eq!(outcome.finished, Some((FinishReason::Eos, 2)));
}

#[test]
fn ignored_eos_counts_and_is_not_written() {
    let mut request = greedy(4);
    request.ignore_eos = true;
    let tokens = [byte_tokens("a"), vec![EOS], byte_tokens("bc")].concat();
    let outcome = run(script(2, tokens.clone()), request);
    assert_eq!(outcome.tokens, tokens);
    assert_eq!(outcome.texts.concat(), "abc");
    assert_eq!(outcome.finished, Some((FinishReason::Length, 4)));
}

#[test]
fn eos_is_not_chosen_before_min_tokens() {
    let mut request = greedy(8);
    request.min_tokens = 3;
    let outcome = run(script(2, byte_tokens("a")), request);
    assert_eq!(outcome.tokens.len(), 4);
    assert!(!outcome.tokens[..3].contains(&EOS));
    assert_eq!(outcome.finished, Some((FinishReason::Eos, 4)));
}

#[test]
fn a_stop_string_over_several_tokens_ends_the_request_and_is_not_written() {
    let mut request = greedy(20);
    request.stop = vec!["never".to_owned(), "wo".to_owned()];
    let outcome = run(script(2, byte_tokens("no words")), request);
    assert_eq!(outcome.texts, ["", "no", " ", "", "", ""]);
    assert_eq!(outcome.texts.concat(), "no ");
    assert_eq!(outcome.finished, Some((FinishReason::Stop, 5)));
}

#[test]
fn text_held_back_for_a_stop_string_is_written_at_the_end() {
    let mut request = greedy(3);
    request.stop = vec!["abcd".to_owned()];
    let outcome = run(script(2, byte_tokens("abcd")), request);
    assert_eq!(outcome.texts, ["", "", "", "abc"]);
    assert_eq!(outcome.finished, Some((FinishReason::Length, 3)));
}

#[test]
fn a_stop_string_in_the_middle_of_a_token_cuts_the_token() {
    let hell = fake::tokenizer().encode("hell", EncodeOptions::default()).unwrap();
    assert_eq!(hell.len(), 1);
    let mut request = greedy(9);
    request.stop = vec!["el".to_owned()];
    let outcome = run(script(2, hell), request);
    assert_eq!(outcome.texts, ["h", ""]);
    assert_eq!(outcome.finished, Some((FinishReason::Stop, 1)));
}

#[test]
fn a_stop_string_that_the_last_replacement_completes_is_not_written() {
    let mut request = greedy(2);
    request.stop = vec!["a\u{FFFD}".to_owned()];
    let outcome = run(script(2, vec![byte_token(b'a'), byte_token(0xF0)]), request);
    assert_eq!(outcome.texts.concat(), "");
    assert_eq!(outcome.finished, Some((FinishReason::Stop, 2)));
}

#[test]
fn a_stop_string_found_in_the_last_token_comes_before_the_length() {
    let mut request = greedy(1);
    request.stop = vec!["a".to_owned()];
    let outcome = run(script(2, byte_tokens("a")), request);
    assert_eq!(outcome.finished, Some((FinishReason::Stop, 1)));
}
