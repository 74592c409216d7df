//! Where tokens begin in the text that is delivered: any bytes, any cut between prompt and output,
//! echoed or not.

use carafe_core::text::{EventKind, FinishReason, Prompt, Request};
use proptest::prelude::*;

use crate::fake::{self, EOS, Fake, Outcome, VOCABULARY_SIZE, byte_token, drain, run, script, tokenizer};

/// A greedy request that goes on past EOS, on a prompt of at least one token.
fn request(prompt: &[u32], output: usize, echo: bool) -> Request {
    let mut request = Request::new(Prompt::Tokens(prompt.to_vec()), output as u32);
    request.sampling.temperature = 0.0;
    Request { ignore_eos: true, echo, ..request }
}

/// Everything that is delivered, in its order, and where each token begins.
fn delivered(outcome: &Outcome) -> (String, Vec<u32>) {
    let (prompt, tokens) = outcome.prompt.clone().unwrap_or_default();
    let offsets = tokens.iter().map(|token| token.text_offset).chain(outcome.text_offsets.iter().copied());
    (prompt + &outcome.texts.concat(), offsets.collect())
}

/// The bytes of a token that is written: EOS has none there.
fn written(token: u32) -> Vec<u8> {
    if token == EOS { Vec::new() } else { tokenizer().token_bytes(token).unwrap() }
}

/// A prompt after whose own text the output's is a text of its own: it ends with a whole character.
fn whole(mut prompt: Vec<u32>) -> Vec<u32> {
    prompt.push(byte_token(b'a'));
    prompt
}

/// How many characters of the lossy text come before the one that holds the byte at `place`, or
/// would hold it.
fn characters_before(bytes: &[u8], place: usize) -> usize {
    let (mut start, mut count) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        let invalid = Some(chunk.invalid().len()).filter(|&length| length > 0);
        for length in chunk.valid().chars().map(char::len_utf8).chain(invalid) {
            if place < start + length {
                return count;
            }
            (start, count) = (start + length, count + 1);
        }
    }
    count
}

/// Tokens of which many are parts of characters.
fn tokens(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u32>> {
    let part = prop::sample::select("é日👋".bytes().map(byte_token).collect::<Vec<u32>>());
    let character = prop::sample::select(vec!["é", "日", "👋", "a"]);
    let character = character.prop_map(|text| text.bytes().map(byte_token).collect());
    let single = prop_oneof![0..VOCABULARY_SIZE, part].prop_map(|token| vec![token]);
    prop::collection::vec(prop_oneof![single, character], length).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_cut_joins_to_the_text_of_all_tokens_and_each_token_begins_at_its_first_byte(
        prompt in tokens(1..6),
        output in tokens(1..6),
        echo in any::<bool>(),
    ) {
        let prompt = if echo { prompt } else { whole(prompt) };
        let outcome = run(script(prompt.len(), output.clone()), request(&prompt, output.len(), echo));
        let (text, offsets) = delivered(&outcome);

        let echoed = prompt.iter().filter(|_| echo).map(|&token| written(token));
        let pieces: Vec<Vec<u8>> = echoed.chain(output.iter().map(|&token| written(token))).collect();
        let bytes = pieces.concat();
        prop_assert_eq!(&text, &String::from_utf8_lossy(&bytes));
        prop_assert_eq!(offsets.len(), pieces.len());
        prop_assert!(offsets.is_sorted());
        prop_assert!(offsets.last().is_none_or(|&last| last as usize <= text.chars().count()));
        let mut start = 0;
        for (piece, &offset) in pieces.iter().zip(&offsets) {
            if !piece.is_empty() {
                prop_assert_eq!(offset as usize, characters_before(&bytes, start));
            }
            start += piece.len();
        }
    }

    #[test]
    fn a_request_that_resumes_delivers_the_same_rest_of_the_text_from_the_same_offsets(
        prompt in tokens(1..6),
        output in tokens(2..6),
        echo in any::<bool>(),
    ) {
        let logits = script(prompt.len(), output.clone());
        let whole = run(logits.clone(), request(&prompt, output.len(), echo));
        for cut in 1..output.len() {
            let resume = output[..cut].to_vec();
            let rest = run(logits.clone(), Request { resume, ..request(&prompt, output.len(), echo) });
            prop_assert_eq!(&rest.texts, &whole.texts[cut..]);
            prop_assert_eq!(&rest.text_offsets, &whole.text_offsets[cut..]);
        }
    }
}

#[test]
fn a_character_that_begins_in_an_echoed_prompt_is_whole_when_the_output_ends_it() {
    let bytes: Vec<u32> = "a👋".bytes().map(byte_token).collect();
    let (prompt, output) = bytes.split_at(3);
    let outcome = run(script(3, output.to_vec()), request(prompt, 2, true));
    let (text, tokens) = outcome.prompt.clone().unwrap();
    assert_eq!((text.as_str(), outcome.texts.concat().as_str()), ("a", "👋"));
    assert_eq!(tokens.iter().map(|token| token.text_offset).collect::<Vec<_>>(), [0, 1, 1]);
    assert_eq!(outcome.text_offsets, [1, 1]);
}

#[test]
fn a_character_that_begins_in_the_prompt_comes_whole_with_the_output_that_ends_it() {
    let bytes: Vec<u32> = "a👋b".bytes().map(byte_token).collect();
    let (prompt, output) = bytes.split_at(3);
    assert_eq!(run(script(3, output.to_vec()), request(prompt, 3, false)).texts.concat(), "👋b");
    let never_ended = [byte_token(b'b')];
    assert_eq!(run(script(3, never_ended.to_vec()), request(prompt, 1, false)).texts.concat(), "b");
}

#[test]
fn a_scored_prompt_that_ends_inside_a_character_ends_in_a_replacement() {
    let prompt = Prompt::Tokens(vec![byte_token(b'a'), byte_token(0xF0), byte_token(0x9F)]);
    for logprobs in [None, Some(1)] {
        let request = Request { echo: true, logprobs, ..Request::new(prompt.clone(), 0) };
        let mut generator = fake::generator(Fake::new(fake::noise(1)));
        generator.submit(request).unwrap();
        let mut text = String::new();
        for event in drain(&mut generator) {
            match event.kind {
                EventKind::Prompt { text: more, .. } => text += &more,
                EventKind::Finished { reason, text: more, .. } => {
                    assert_eq!(reason, FinishReason::Length);
                    text += &more;
                }
                _ => {}
            }
        }
        assert_eq!(text, "a\u{FFFD}");
    }
}
