//! Bytes as the texts of a conversation, through templates that take them apart and put them
//! together: none of them becomes a control token, and nothing panics.
//!
//! The fuzz target `chat` runs this over bytes that libFuzzer makes, and a test of `carafe-core`
//! over the corpus.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use carafe_core::chat::{AddedToken, Chat, ChatPiece, ChatTemplate};
use serde_json::json;

/// The one control token that the templates write, once.
const WRITTEN: &str = "<s>";
const CONTROLS: [&str; 6] = [WRITTEN, "<|turn|>", "<|end|>", "[INST]", "</think>", "<|im_here|>"];

/// What templates do to clients' texts: as they are, cut and joined, cased and replaced, between
/// parts of control tokens, as JSON and as keys.
const TEMPLATES: [&str; 5] = [
    "<s>{% for m in messages %}{{ m.role }}{{ m.content }}{{ m.name }}{% endfor %}",
    "<s>{{ messages[0].content[1:] ~ messages[1].content[:2] }}{{ messages[1].content | reverse }}",
    "<s>{{ messages[0].content | upper | trim }}{{ messages[1].content.replace('X', '') | lower | title }}",
    "<s>{{ '<|' + messages[0].content + '|>' }}<{{ messages[1].content }}>[{{ messages[0].name }}]",
    "<s>{{ messages | tojson }}{{ tools | tojson(indent=1) }}{{ messages | string }}",
];

/// Renders a conversation. The first byte says by which template; the texts are parted by line
/// feeds.
///
/// # Panics
/// If a rendering has a control token that its template has not written.
pub(super) fn run(data: &[u8]) {
    let [number, texts @ ..] = data else { return };
    let templates = templates();
    let template = &templates[usize::from(*number) % templates.len()];
    let texts = String::from_utf8_lossy(texts);
    // A request at fault is refused, which is as good.
    let Ok(pieces) = template.render(&conversation(&texts.split('\n').collect::<Vec<_>>())) else { return };
    let controls = pieces.iter().filter_map(|piece| match piece {
        ChatPiece::Control(text) => Some(text.as_str()),
        ChatPiece::Text(_) => None,
    });
    assert_eq!(controls.collect::<Vec<_>>(), [WRITTEN], "{texts:?}");
}

fn templates() -> &'static [ChatTemplate] {
    static OPENED: OnceLock<Vec<ChatTemplate>> = OnceLock::new();
    OPENED.get_or_init(|| {
        let tokens = CONTROLS.map(|text| AddedToken { text: text.to_owned(), special: true });
        let open = |source: &&str| ChatTemplate::open(source, &BTreeMap::new(), &tokens).expect("a template");
        TEMPLATES.iter().map(open).collect()
    })
}

fn conversation(texts: &[&str]) -> Chat {
    let text = |index: usize| texts.get(index).copied().unwrap_or_default();
    let messages = json!([
        { "role": "user", "content": text(0), "name": text(1) },
        { "role": "assistant", "content": text(2), "name": text(3) },
    ]);
    let parameters = json!({ "type": "object", "properties": { text(4): { "enum": [text(5)] } } });
    let tools = json!([{ "type": "function", "function": { "name": text(6), "parameters": parameters } }]);
    Chat { messages: messages.to_string(), tools: Some(tools.to_string()), ..Chat::default() }
}
