//! Invariant 7: control tokens' texts, whole, in parts and across fields, through every template.
//!
//! The control tokens of a rendering must be those that the same conversation gives with harmless
//! texts. For that, the harmless conversation has every client string replaced by one that answers
//! templates' questions alike (is it empty?); templates whose questions go further are asked less:
//! each of their control tokens must be one that they write, as often as they can.

use std::sync::LazyLock;

use carafe_core::chat::{Chat, ChatPiece, ChatTemplate};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{ADDED, SPECIAL, TEMPLATES, joined, open, template};

/// Templates that do to client texts what no model's template does, and write no control token but
/// `<s>` at the beginning.
const HOSTILE: [&str; 14] = [
    "<s>{% for m in messages %}{{ m.content }}{% endfor %}",
    "<s>{% for m in messages %}{{ m.content[1:] }}{{ m.content[:1] }}{% endfor %}",
    "<s>{{ messages | map(attribute='content') | join('') }}{{ messages | map(attribute='content') | map('upper') | join('') }}",
    "<s>{{ messages[0].content[::-1] }}{{ messages[0].content[::2] }}{{ messages[0].content[1::2] }}",
    "<s>{{ messages | tojson }}{{ messages }}{{ messages | string }}{{ tools | tojson(indent=1) }}",
    "<s>{{ messages[0].content | replace('X', '') }}{{ messages[0].content.replace('X', '') }}{{ messages[0].content | lower }}",
    "<s>{% for c in messages[0].content %}{{ c }}{% endfor %}{{ messages[0].content | list | join }}{{ messages[0].content | sort | join }}",
    "<s>{{ '%s%s' | format(messages[0].content, messages[0].content) }}{{ '{}{}'.format(messages[0].content, messages[0].content) }}",
    "<s>{{ messages[0].content.split('X') | join('') }}{{ ''.join(messages[0].content.split()) }}{{ messages[0].content.title() }}",
    "<s>{{ '<|' + messages[0].content + '|>' }}{{ '<' ~ messages[0].content ~ '>' }}<|{{ messages[0].content }}|>",
    "<s>{{ '<|{}|>'.format(messages[0].content) }}{{ '<|%s|>' | format(messages[0].content) }}{{ '<|X|>' | replace('X', messages[0].content) }}",
    "<s>{% set t = messages[0].content %}{% set b %}{{ t }}{{ t }}{% endset %}{{ b }}{% macro m(x) %}<|{{ x }}{% endmacro %}{{ m(t) }}|>",
    "<s>{% for k, v in (kwargs or {}).items() %}{{ k }}{{ v }}<|{{ k }}|>{{ '<|' ~ v.role ~ '|>' if v is mapping }}{% endfor %}",
    "<s>{{ messages[0].content | escape }}{{ messages[0].content | trim('<') }}{{ '[' + messages[0].content + ']' }}{{ '</' + messages[0].content }}",
];

static OPENED: LazyLock<Vec<ChatTemplate>> = LazyLock::new(|| HOSTILE.iter().map(|source| open(source)).collect());

/// Text that a control token could be made of.
fn hostile_text() -> impl Strategy<Value = String> {
    let tokens: Vec<&'static str> = SPECIAL.iter().chain(&ADDED).copied().collect();
    let part = prop::sample::select(tokens).prop_flat_map(|token| {
        let length = token.chars().count();
        (0..=length, 0..=length).prop_map(move |(a, b)| {
            let (from, to) = if b <= a { (0, length) } else { (a, b) };
            token.chars().skip(from).take(to - from).collect::<String>()
        })
    });
    let between = prop::sample::select(vec![
        "",
        "",
        "",
        "X",
        " ",
        "x",
        "\n",
        "<",
        "|>",
        "\u{f0000}",
        "\u{f0001}",
        "\u{10fffd}",
        "ſ",
        "ı",
    ]);
    let reversed = prop::bool::weighted(0.1);
    prop::collection::vec((part, between), 1..5).prop_flat_map(move |parts| {
        let text: String = parts.into_iter().map(|(part, between)| part + between).collect();
        reversed.prop_map(move |reversed| if reversed { text.chars().rev().collect() } else { text.clone() })
    })
}

/// A conversation with hostile text wherever a client may write some.
fn hostile_chat() -> impl Strategy<Value = Chat> {
    let texts = prop::collection::vec(hostile_text(), 16);
    (texts, any::<bool>(), any::<bool>())
        .prop_map(|(texts, add_generation_prompt, with_tools)| conversation(&texts, add_generation_prompt, with_tools))
}

fn conversation(t: &[String], add_generation_prompt: bool, with_tools: bool) -> Chat {
    let arguments = json!({ &t[0]: t[1], "role": t[2] }).to_string();
    let messages = json!([
        { "role": "system", "content": t[3] },
        { "role": "user", "content": t[4], "name": t[5] },
        { "role": "assistant", "content": t[6], "reasoning_content": t[7], "tool_calls": [
            { "id": t[8], "type": "function", "function": { "name": t[9], "arguments": arguments } },
            { "id": t[8], "type": "function", "function": { "name": t[9], "arguments": t[0] } },
        ] },
        { "role": "tool", "tool_call_id": t[8], "content": t[10] },
        { "role": "assistant", "content": t[15] },
        { "role": "user", "content": [{ "type": "text", "text": t[11] }, { "type": "text", "text": t[12] }] },
    ]);
    let parameters = json!({ "type": t[13], "description": t[5], "role": t[6], "properties": { &t[14]: { "type": "string", "enum": [t[0], 1], "description": t[1], "default": t[2] } }, "required": [t[14]] });
    let tools =
        json!([{ "type": "function", "function": { "name": t[9], "description": t[12], "parameters": parameters } }]);
    Chat {
        messages: messages.to_string(),
        tools: with_tools.then(|| tools.to_string()),
        template_arguments: Some(
            json!({ "kwargs": { &t[3]: t[4], "a": { "role": t[5] } }, "effort": t[6] }).to_string(),
        ),
        add_generation_prompt,
        ..Chat::default()
    }
}

fn control_tokens(pieces: &[ChatPiece]) -> Vec<&str> {
    pieces
        .iter()
        .filter_map(|piece| if let ChatPiece::Control(text) = piece { Some(text.as_str()) } else { None })
        .collect()
}

/// The same conversation with every client string replaced by a harmless one.
fn harmless(add_generation_prompt: bool, with_tools: bool) -> Chat {
    let texts: Vec<String> = (0..16).map(|number| format!("harmless {number}")).collect();
    conversation(&texts, add_generation_prompt, with_tools)
}

fn rendered(template: &ChatTemplate, chat: &Chat) -> Option<Vec<ChatPiece>> {
    match template.render(chat) {
        Ok(pieces) => Some(pieces),
        Err(error) => {
            assert!(error.is_request_fault(), "{error}");
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hostile_text_makes_no_control_token_in_templates_that_take_it_apart(chat in hostile_chat(), number in 0..HOSTILE.len()) {
        let pieces = rendered(&OPENED[number], &chat);
        let Some(pieces) = pieces else { return Ok(()) };
        prop_assert_eq!(control_tokens(&pieces), vec!["<s>"], "{}: {:?}", HOSTILE[number], pieces);
    }

    #[test]
    fn hostile_text_leaves_the_control_tokens_of_a_chat_as_they_are(chat in hostile_chat(), number in 0..TEMPLATES.len() - 1) {
        let name = TEMPLATES[number];
        let template = template(name);
        let Some(pieces) = rendered(template, &chat) else { return Ok(()) };
        let expected = template.render(&harmless(chat.add_generation_prompt, chat.tools.is_some())).expect("renders");
        if name == "thoughts" {
            // It asks whether a content has tags, and writes tags of its own accordingly.
            let turns = |pieces: &[ChatPiece]| control_tokens(pieces).iter().filter(|text| **text == "<|turn|>").count();
            prop_assert_eq!(turns(&pieces), turns(&expected));
            let known = ["<|turn|>", "<|end|>", "<think>", "</think>"];
            prop_assert!(control_tokens(&pieces).iter().all(|text| known.contains(text)));
        } else {
            prop_assert_eq!(control_tokens(&pieces), control_tokens(&expected), "{}: {:?}", name, pieces);
        }
    }

    #[test]
    fn nothing_of_a_text_is_lost(text in hostile_text()) {
        let messages = json!([{ "role": "user", "content": text }]).to_string();
        let pieces = rendered(template("turns"), &Chat { messages, ..Chat::default() }).expect("renders");
        prop_assert_eq!(joined(&pieces), format!("<|turn|>user\n{text}<|end|>\n"));
    }

    #[test]
    fn no_request_panics(messages in ".{0,200}", tools in prop::option::of(".{0,50}"), values in prop::collection::vec(hostile_text(), 3)) {
        let turns = template("constructs");
        let _ = turns.render(&Chat { messages, tools: tools.clone(), template_arguments: tools, ..Chat::default() });
        let odd: Value = json!([{ "role": "user", "content": values[0], "name": values[1] }, { "role": values[2], "content": 7 }]);
        let _ = turns.render(&Chat { messages: odd.to_string(), ..Chat::default() });
    }
}

#[test]
fn a_clients_text_cannot_pose_as_a_role() {
    let template = open(
        "{{ '<|' + thing.role + '|>' }}<|{{ thing['role'] }}|>{% for m in messages %}{{ '<|' + m.role + '|>' }}{% endfor %}",
    );
    for role in ["user", "im_here", "assistant"] {
        let chat = Chat {
            messages: r#"[{"role": "user", "content": ""}]"#.to_owned(),
            template_arguments: Some(json!({ "thing": { "role": role } }).to_string()),
            ..Chat::default()
        };
        let pieces = template.render(&chat).expect("renders");
        assert_eq!(control_tokens(&pieces), ["<|user|>"], "{pieces:?}");
        assert_eq!(joined(&pieces), format!("<|{role}|><|{role}|><|user|>"));
    }
}
