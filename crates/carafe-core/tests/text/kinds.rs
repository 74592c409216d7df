//! Tokenizers of every kind against the Python package `tokenizers`, over the golden file that
//! `tools/golden/tokenizer_kinds.py` writes.

use std::path::Path;

use carafe_core::text::Request;
use carafe_core::tokenizer::{EncodeOptions, Piece, TextStream, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use crate::fake;

#[path = "../../../../fuzz/src/tokenizer.rs"]
mod fuzz;

/// A tokenizer and what the library makes of it.
#[derive(Deserialize)]
struct Kind {
    name: String,
    tokenizer: Value,
    texts: Vec<TextCase>,
    conversations: Vec<Conversation>,
    streams: Vec<StreamCase>,
}

#[derive(Debug, Deserialize)]
struct TextCase {
    text: String,
    add_special_tokens: bool,
    parse_special: bool,
    ids: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Conversation {
    pieces: Vec<GoldenPiece>,
    ids: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GoldenPiece {
    Token(u32),
    Text(String),
}

impl GoldenPiece {
    fn piece(&self) -> Piece<'_> {
        match self {
            Self::Token(id) => Piece::Token(*id),
            Self::Text(text) => Piece::Text(text),
        }
    }
}

/// Ids, and what those from `cut` on add to the text of those before; none where the text of all
/// does not begin with that.
#[derive(Debug, Deserialize)]
struct StreamCase {
    ids: Vec<u32>,
    cut: usize,
    skip_special_tokens: bool,
    whole: String,
    rest: Option<String>,
}

fn kinds() -> Vec<(Kind, Tokenizer)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokenizers.json");
    let kinds: Vec<Kind> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(kinds.len(), 9);
    kinds
        .into_iter()
        .map(|kind| (fake::open(&kind.tokenizer).unwrap(), kind))
        .map(|(opened, kind)| (kind, opened))
        .collect()
}

#[test]
fn texts_have_the_ids_of_the_library_with_and_without_special_tokens() {
    for (kind, tokenizer) in kinds() {
        for case in &kind.texts {
            let TextCase { text, add_special_tokens, parse_special, ids } = case;
            let options = EncodeOptions { add_special_tokens: *add_special_tokens, parse_special: *parse_special };
            assert_eq!(&tokenizer.encode(text, options).unwrap(), ids, "{}: {case:?}", kind.name);
        }
    }
}

#[test]
fn a_text_has_no_fewer_tokens_than_are_said_to_be_the_least() {
    for (kind, tokenizer) in kinds() {
        for case in kind.texts.iter().filter(|case| !case.add_special_tokens) {
            assert!(tokenizer.least_tokens(case.text.len()) <= case.ids.len(), "{}: {case:?}", kind.name);
        }
    }
}

#[test]
fn pieces_without_control_text_have_the_ids_of_the_whole_text() {
    for (kind, tokenizer) in kinds() {
        let special = tokenizer.added_tokens().iter().filter(|token| token.special);
        let controls = tokenizer.control_tokens(special.map(|token| token.content.as_str()));
        for case in &kind.conversations {
            let pieces: Vec<Piece<'_>> = case.pieces.iter().map(GoldenPiece::piece).collect();
            assert_eq!(tokenizer.encode_pieces(&pieces, &controls).unwrap(), case.ids, "{}: {case:?}", kind.name);
        }
    }
}

#[test]
fn control_text_in_pieces_whole_or_split_becomes_no_control_token() {
    for (kind, tokenizer) in kinds() {
        let controls = tokenizer.control_tokens(tokenizer.added_tokens().iter().map(|token| token.content.as_str()));
        assert_eq!(controls.ids().len(), tokenizer.added_tokens().len());
        for token in tokenizer.added_tokens() {
            let content = &token.content;
            for cut in (0..=content.len()).filter(|&cut| content.is_char_boundary(cut)) {
                let (first, second) = content.split_at(cut);
                let pieces = [Piece::Text("the "), Piece::Text(first), Piece::Text(second), Piece::Text(" cat")];
                let ids = tokenizer.encode_pieces(&pieces, &controls).unwrap();
                // The unknown token is also what a model makes of unknown text.
                let is_control =
                    |&&id: &&u32| controls.contains(id) && !["<unk>", "[UNK]"].contains(&content_of(&tokenizer, id));
                assert_eq!(ids.iter().find(is_control), None, "{}: {content:?} at {cut}: {ids:?}", kind.name);
            }
        }
    }
}

fn content_of(tokenizer: &Tokenizer, id: u32) -> &str {
    tokenizer.added_tokens().iter().find(|token| token.id == id).map_or("", |token| token.content.as_str())
}

/// What a stream gives of a case, its end included.
fn streamed(case: &StreamCase, tokenizer: &Tokenizer) -> String {
    let has_text = |id: &&u32| !(case.skip_special_tokens && tokenizer.is_special(**id));
    let (prompt, output) = case.ids.split_at(case.cut);
    let mut stream = TextStream::after(prompt.iter().filter(has_text).copied(), tokenizer);
    let pieces: String = output.iter().filter(has_text).map(|&id| stream.push(id, tokenizer).text).collect();
    pieces + &stream.finish(tokenizer)
}

#[test]
fn a_stream_gives_what_the_text_of_all_goes_on_with_after_that_of_the_prompt() {
    for (kind, tokenizer) in kinds() {
        for case in &kind.streams {
            let rest = streamed(case, &tokenizer);
            assert!(case.rest.as_ref().is_none_or(|expected| *expected == rest), "{}: {case:?}: {rest:?}", kind.name);
            let whole = streamed(
                &StreamCase { cut: 0, ids: case.ids.clone(), rest: None, whole: String::new(), ..*case },
                &tokenizer,
            );
            assert_eq!(whole, case.whole, "{}: {case:?}", kind.name);
            if !case.skip_special_tokens {
                assert_eq!(tokenizer.decode(&case.ids).unwrap(), case.whole, "{}: {case:?}", kind.name);
            }
        }
    }
}

#[test]
fn offsets_count_the_characters_before_a_token_and_never_fall() {
    for (kind, tokenizer) in kinds() {
        for case in &kind.streams {
            let (mut stream, mut last, mut characters) = (TextStream::new(), 0, 0);
            for &id in &case.ids {
                let piece = stream.push(id, &tokenizer);
                assert!(piece.offset >= last && piece.offset >= characters, "{}: {case:?}", kind.name);
                (last, characters) = (piece.offset, characters + piece.text.chars().count());
            }
            assert!(last <= characters + stream.finish(&tokenizer).chars().count(), "{}: {case:?}", kind.name);
        }
    }
}

#[test]
fn a_special_token_of_the_output_gives_its_text_only_where_that_is_wanted() {
    let letter = fake::byte_token(b'x');
    for (skip_special_tokens, expected) in [(true, "xx"), (false, "x<|endoftext|>x")] {
        let request = Request { skip_special_tokens, ignore_eos: true, ..fake::greedy(3) };
        let outcome = fake::run(fake::script(2, vec![letter, fake::EOS, letter]), request);
        assert_eq!(outcome.texts.concat(), expected);
    }
}

#[test]
fn what_the_fuzzer_has_found_is_refused_or_works() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/tokenizer");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 8);
    files.iter().for_each(|file| fuzz::run(&std::fs::read(file).unwrap()));
}

#[test]
fn a_form_that_is_cut_off_or_damaged_anywhere_is_refused_or_works() {
    let form =
        |kind: u8, damage: &[u8]| [&[kind, (damage.len() / 5) as u8][..], damage, "the <s> cats".as_bytes()].concat();
    for kind in 0..9 {
        for step in 0..400u32 {
            let place = (step * 97).to_le_bytes();
            fuzz::run(&form(kind, &[place[0], place[1], place[2], place[3], (step * 31) as u8]));
        }
    }
    let (kind, _) = kinds().swap_remove(0);
    let whole = carafe_core::tokenizer::compact_form(kind.tokenizer.to_string().as_bytes()).unwrap();
    for length in (0..whole.len()).step_by(211) {
        assert!(Tokenizer::open(&whole[..length]).is_err());
    }
}
