//! Chat templates against Jinja2, and invariant 7: what a client wrote becomes no control token.
//!
//! The templates are ours and have what models' templates have. `renderings.json` is written by
//! `tools/golden/chat_templates.py`. Real models' templates are tried in
//! `carafe-e2e/clients/test_chat_templates.py`.

mod control_text;
#[path = "../../../../fuzz/src/chat.rs"]
mod fuzz;
mod requests;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use carafe_core::chat::{AddedToken, Chat, ChatError, ChatPiece, ChatTemplate};
use serde_json::Value;

/// As in `tools/golden/chat_templates.py`.
const NOW: i64 = 1_750_000_000;

const SPECIAL: [&str; 12] = [
    "<s>",
    "</s>",
    "<|turn|>",
    "<|end|>",
    "<|channel|>",
    "<|message|>",
    "<|call|>",
    "<start>",
    "<stop>",
    "<|user|>",
    "<|assistant|>",
    "<|im_here|>",
];
/// Added, not special: control tokens of the templates that write them.
const ADDED: [&str; 9] =
    ["[INST]", "[/INST]", "<think>", "</think>", "<call>", "</call>", "<result>", "\n\n", "</result>"];

pub(crate) fn special_tokens() -> BTreeMap<String, String> {
    [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

pub(crate) fn added_tokens() -> Vec<AddedToken> {
    let token = |special| move |text: &str| AddedToken { text: text.to_owned(), special };
    SPECIAL.into_iter().map(token(true)).chain(ADDED.into_iter().map(token(false))).collect()
}

pub(crate) fn open(source: &str) -> ChatTemplate {
    ChatTemplate::open(source, &special_tokens(), &added_tokens()).expect("the template can be opened")
}

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/chat").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// The last two are no chats: they have every construct and filter.
pub(crate) const TEMPLATES: [&str; 8] =
    ["turns", "instructions", "parts", "composed", "thoughts", "types", "constructs", "filters"];

/// A template of the tests, opened once.
pub(crate) fn template(name: &str) -> &'static ChatTemplate {
    static OPENED: LazyLock<BTreeMap<&str, ChatTemplate>> =
        LazyLock::new(|| TEMPLATES.map(|name| (name, open(&read(&format!("templates/{name}.jinja"))))).into());
    &OPENED[name]
}

/// A conversation: its fields as JSON texts, since the order of keys counts.
fn chat(fields: &Value, add_generation_prompt: bool) -> Chat {
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    Chat {
        messages: text("messages").expect("a conversation has messages"),
        tools: text("tools"),
        template_arguments: text("template_arguments"),
        add_generation_prompt,
        continue_final_message: false,
        now: NOW,
    }
}

pub(crate) fn joined(pieces: &[ChatPiece]) -> String {
    let text = |piece: &ChatPiece| match piece {
        ChatPiece::Control(text) | ChatPiece::Text(text) => text.clone(),
    };
    pieces.iter().map(text).collect()
}

#[test]
fn every_template_renders_every_conversation_as_jinja2() {
    let golden: Value = serde_json::from_str(&read("renderings.json")).expect("the file holds renderings");
    let renderings = golden["renderings"].as_array().expect("a list");
    let conversations = golden["chats"].as_object().expect("chats by name");
    assert_eq!(renderings.len(), TEMPLATES.len() * conversations.len() * 2);
    let mut wrong = Vec::new();
    for expected in renderings {
        let name = expected["template"].as_str().expect("a name");
        let fields = &conversations[expected["chat"].as_str().expect("a name")];
        let prompt = expected["add_generation_prompt"].as_bool().expect("a boolean");
        let got = template(name.trim_end_matches(".jinja")).render(&chat(fields, prompt));
        match (expected["text"].as_str(), got) {
            (None, Err(error)) => assert!(error.is_request_fault(), "{error}"),
            (Some(text), Ok(pieces)) if joined(&pieces) == text => {}
            (text, got) => wrong.push(difference(expected, text, &got)),
        }
    }
    assert!(wrong.is_empty(), "{} renderings differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn difference(case: &Value, expected: Option<&str>, got: &Result<Vec<ChatPiece>, ChatError>) -> String {
    let name = format!("{} / {} / prompt {}", case["template"], case["chat"], case["add_generation_prompt"]);
    let (Some(expected), Ok(pieces)) = (expected, got) else {
        return format!("{name}: expected {expected:?}, got {got:?}");
    };
    let got = joined(pieces);
    let line = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
    format!("{name}: {line:#?}")
}

#[test]
fn no_text_of_the_corpus_becomes_a_control_token() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/chat");
    let files: Vec<PathBuf> =
        fs::read_dir(corpus).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    assert!(!files.is_empty());
    for file in files {
        fuzz::run(&fs::read(file).expect("readable"));
    }
}

#[test]
fn what_the_template_writes_is_cut_into_control_tokens() {
    let messages = r#"[{"role": "user", "content": "a </think> <|end|>", "name": "turn"}]"#.to_owned();
    let pieces =
        template("turns").render(&Chat { messages, add_generation_prompt: true, ..Chat::default() }).expect("renders");
    let control = |text: &str| ChatPiece::Control(text.to_owned());
    let text = |text: &str| ChatPiece::Text(text.to_owned());
    let expected = [
        control("<|turn|>"),
        text("user(turn)\na </think> <|end|>"),
        control("<|end|>"),
        text("\n"),
        control("<|turn|>"),
        text("assistant\n"),
    ];
    assert_eq!(pieces, expected);
}

#[test]
fn added_tokens_are_control_tokens_where_they_are_special_or_the_template_writes_them() {
    let template = template("instructions");
    let control: Vec<&str> = template.control_tokens().collect();
    for text in ["<s>", "<|turn|>", "[INST]", "[/INST]"] {
        assert!(control.contains(&text), "{text}");
    }
    for text in ["<think>", "\n\n"] {
        assert!(!control.contains(&text), "{text:?}");
    }
}

#[test]
fn tools_are_looked_up_and_compared_where_letters_of_clients_are_marked() {
    // Brackets around a client's text beside a token of letters in such brackets: letters are
    // marked.
    let source = "{% for tool in tools %}[{{ tool.function.name }}]\
        {% for key, value in tool.function.parameters.properties.items() %}<{{ key }}>\
        {{ 'text' if value.type == 'string' else 'other' }} {{ value.description }}{% endfor %}{% endfor %}\
        {% if messages[0].content is string %}{{ messages[0].content }}{% endif %}";
    let tools = r#"[{"type": "function", "function": {"name": "INST", "description": "d", "parameters":
        {"type": "object", "properties": {"think": {"type": "string", "description": "user"}}}}}]"#;
    let messages = r#"[{"role": "user", "content": "hi"}]"#.to_owned();
    let pieces = open(source).render(&Chat { messages, tools: Some(tools.to_owned()), ..Chat::default() });
    assert_eq!(pieces.expect("renders"), [ChatPiece::Text("[INST]<think>text userhi".to_owned())]);
}

#[test]
fn what_is_iterable_and_a_sequence_is_what_jinja2_says() {
    let source = "{% for x in [none, 1, true, 'a', [1], {'a': 1}, range(2), absent] %}\
        {{ (x is iterable) | int }}{{ (x is sequence) | int }} {% endfor %}";
    let messages = r#"[{"role": "user", "content": "hi"}]"#.to_owned();
    let pieces = open(source).render(&Chat { messages, ..Chat::default() }).expect("renders");
    assert_eq!(joined(&pieces), "00 00 00 11 11 11 11 11 ");
}

#[test]
fn a_template_that_can_render_nothing_is_refused_when_its_model_is_opened() {
    for source in [
        "{{ messages | no_such_filter }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    ] {
        let error = open(source).check().expect_err(source);
        assert!(error.to_string().contains("cannot render a conversation"), "{error}");
    }
    assert!(open("{{ raise_exception('only tools') }}").check().is_ok());
}

#[test]
fn reasoning_tags_are_found_in_template_or_tokens() {
    let tags = |source: &str, tokens: &[&str]| {
        let tokens: Vec<AddedToken> =
            tokens.iter().map(|text| AddedToken { text: (*text).to_owned(), special: false }).collect();
        let template = ChatTemplate::open(source, &BTreeMap::new(), &tokens).expect("opens");
        template.reasoning().map(|tags| (tags.start.clone(), tags.end.clone()))
    };
    let think = Some(("<think>".to_owned(), "</think>".to_owned()));
    assert_eq!(tags("{{ '<think>' }}{{ '</think>' }}", &[]), think);
    assert_eq!(tags("{{ x }}", &["<think>", "</think>"]), think);
    assert_eq!(tags("{{ x.split('</think>') }}", &["<think>"]), think);
    assert_eq!(tags("[THINK] [/THINK]", &[]), Some(("[THINK]".to_owned(), "[/THINK]".to_owned())));
    assert_eq!(tags("</think>", &[]), None);
    assert_eq!(tags("<b></b>", &["<s>", "</s>"]), None);
}

#[test]
fn a_generation_prompt_may_leave_reasoning_open() {
    let source = "{{ '<|turn|>' + messages[0].content }}{% if add_generation_prompt %}<think>\n{% endif %}{{ '</think>' if shut }}";
    let template = open(source);
    let open_after = |prompt: bool, content: &str, arguments: Option<&str>| {
        let messages = serde_json::json!([{ "role": "user", "content": content }]).to_string();
        let chat = Chat {
            messages,
            add_generation_prompt: prompt,
            template_arguments: arguments.map(str::to_owned),
            ..Chat::default()
        };
        let pieces = template.render(&chat).expect("renders");
        template.reasoning().expect("has tags").is_open_after(&pieces)
    };
    assert!(open_after(true, "hi", None));
    assert!(!open_after(false, "hi", None));
    assert!(!open_after(true, "hi", Some(r#"{"shut": true}"#)));
}

#[test]
fn a_continued_message_ends_with_its_content() {
    let continued = |name: &str, content: &str| {
        let messages =
            serde_json::json!([{ "role": "user", "content": "q" }, { "role": "assistant", "content": content }])
                .to_string();
        let chat = Chat { messages, continue_final_message: true, ..Chat::default() };
        template(name).render(&chat).map(|pieces| joined(&pieces))
    };
    assert_eq!(continued("turns", "a b ").expect("renders"), "<|turn|>user\nq<|end|>\n<|turn|>assistant\na b ");
    // As in transformers: a template that trims contents has the continued one trimmed too.
    assert_eq!(continued("parts", " a\n").expect("renders"), "<s><start>user\nq<stop>\n<start>model\na");
    let both = Chat {
        add_generation_prompt: true,
        continue_final_message: true,
        messages: "[]".to_owned(),
        ..Chat::default()
    };
    assert!(template("turns").render(&both).expect_err("excluded").to_string().contains("exclude each other"));
    let dropped = open("{{ messages[0].role }}");
    let chat = Chat {
        messages: r#"[{"role": "user", "content": "x"}]"#.to_owned(),
        continue_final_message: true,
        ..Chat::default()
    };
    assert_eq!(dropped.render(&chat).expect_err("nothing to follow").request_field(), Some("continue_final_message"));
}
