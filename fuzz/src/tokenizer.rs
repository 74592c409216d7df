//! Bytes as a tokenizer's compact form with damage, and a text for it: whatever is opened encodes
//! and decodes without a panic, and a form without damage keeps its promises.
//!
//! The fuzz target `tokenizer` runs this over bytes that libFuzzer makes, and a test of
//! `carafe-core` over the corpus.

use std::sync::OnceLock;

use carafe_core::tokenizer::{EncodeOptions, Piece, Tokenizer, compact_form};

/// What the golden file's tokenizers are kept in: one of every kind.
const GOLDEN: &str = include_str!("../../crates/carafe-core/tests/golden/tokenizers.json");

/// Damage: a place in the form, and the byte that is written there.
const DAMAGE_BYTES: usize = 5;

/// Opens a damaged form and uses it. The first byte says which tokenizer it is, the second how
/// many times it is damaged; then come the damage and the text.
///
/// # Panics
/// If an undamaged form is refused, or makes ids of a text that it does not know.
pub(super) fn run(data: &[u8]) {
    let [kind, count, rest @ ..] = data else { return };
    let (damage, text) = rest.split_at(rest.len().min(usize::from(*count) * DAMAGE_BYTES));
    let mut form = form(usize::from(*kind));
    for change in damage.chunks_exact(DAMAGE_BYTES) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], change[3]]) as usize % form.len();
        form[place] = change[4];
    }
    let text = String::from_utf8_lossy(text);
    match Tokenizer::open(&form) {
        Ok(tokenizer) => try_out(&tokenizer, &text, damage.is_empty()),
        Err(error) => assert!(!damage.is_empty(), "{error}"),
    }
}

/// The compact form of one of the golden file's tokenizers.
fn form(kind: usize) -> Vec<u8> {
    static FORMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let forms = FORMS.get_or_init(|| {
        let kinds: Vec<serde_json::Value> = serde_json::from_str(GOLDEN).expect("the golden file");
        let form = |kind: &serde_json::Value| compact_form(kind["tokenizer"].to_string().as_bytes());
        kinds.iter().map(|kind| form(kind).expect("a tokenizer")).collect()
    });
    forms[kind % forms.len()].clone()
}

fn try_out(tokenizer: &Tokenizer, text: &str, is_whole: bool) {
    for add_special_tokens in [false, true] {
        let options = EncodeOptions { add_special_tokens, parse_special: !add_special_tokens };
        let Ok(ids) = tokenizer.encode(text, options) else { continue };
        let decoded = tokenizer.decode(&ids);
        assert!(!is_whole || decoded.is_ok(), "{ids:?}");
    }
    // Whatever the text says, no control token comes of it, but the one for what is unknown.
    let special = tokenizer.added_tokens().iter().filter(|token| token.special);
    let controls = tokenizer.control_tokens(special.map(|token| token.content.as_str()));
    if let Ok(ids) = tokenizer.encode_pieces(&[Piece::Text(text)], &controls) {
        let is_unknown =
            |id: u32| matches!(tokenizer.token_bytes(id).as_deref(), Some(b"<unk>" | b"[UNK]" | b" [UNK]"));
        let wrong = ids.iter().find(|&&id| controls.contains(id) && !is_unknown(id));
        assert!(!is_whole || wrong.is_none(), "{ids:?}");
    }
}
