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

use crate::{ADDED, SPECIAL, TEMPLATES, joined, open, read, special_tokens, template};

/// Templates that do to client texts what no model's template does, and write no control token but
/// `<s>` at the beginning.
const HOSTILE: [&str; 16] = [
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
    "<s>{% set c = messages[0].content %}{{ c | striptags }}{{ c | urlencode }}{{ c | wordwrap(2, wrapstring='') }}{{ c | truncate(4, true, '') }}{{ c | center(60) }}{{ {c: c} | urlencode }}{{ {'a': c} | xmlattr }}{{ c | indent(1) }}{{ c.expandtabs(1) }}",
    "<s>{% set ts = messages | map(attribute='content') | select('string') | list %}{{ ts | sort | join }}{{ ts | unique | join }}{{ ts | min }}{{ ts | groupby(0) | map('first') | join }}{{ {'<s>': 1, '</s>': 2}[ts[0]] }}{{ {ts[0]: ts[0]} | dictsort }}{{ '<' if ts[0] == '<s>' }}{{ ts[0][1:] }}",
    "<s>{{ messages[0].content | escape }}{{ messages[0].content | trim('<') }}{{ '[' + messages[0].content + ']' }}{{ '</' + messages[0].content }}",
];

static OPENED: LazyLock<Vec<ChatTemplate>> = LazyLock::new(|| HOSTILE.iter().map(|source| open(source)).collect());

/// Templates that ask what a client's text is, in every way that there is.
const ASKING: [&str; 8] = [
    "{% set t = messages[0].content %}{{ t == '<|end|>' }}{{ t != '<s>' }}{{ t < '<t' }}{{ t >= '<' > ')' }}{{ t == messages[1].content }}\
     {{ t in ['<s>', '</s>', 'X'] }}{{ t not in '<|end|><s></s>' }}{{ '</think>' in t }}{{ 'x' if t == '<think>' else 'y' }}",
    "{{ {'<s>': 1, '<|end|>': 2, '</think>': 3}[messages[0].content] }}{{ {'<s>': 1, '': 2}.get(messages[0].content) }}\
     {{ {messages[0].content: 1}.get('<s>') }}{{ {messages[0].content: 1} == {'<s>': 1} }}{{ messages[0].content in {'<s>': 1} }}",
    "{% for k, v in kwargs.items() %}{{ kwargs[k] == v }}{{ k in kwargs }}{% endfor %}{{ kwargs['<s>'] }}{{ kwargs.get('<|end|>') }}\
     {{ kwargs | dictsort }}{{ kwargs | items | list | length }}{{ '</s>' in kwargs }}{{ kwargs.keys() | sort }}",
    "{% set ts = messages | map(attribute='content') | select('string') | list %}{{ ts | sort }}{{ ts | unique | list }}{{ ts | min }}{{ ts | max }}\
     {{ ts | select('equalto', '<s>') | list }}{{ ts | select('in', ['<s>', '<|end|>']) | list }}{{ ts | groupby(0) | map('first') | list }}{{ ts.index(ts[0]) }}{{ ts.count('<s>') }}",
    "{% set t = messages[0].content %}{{ t.split('<') }}{{ t.split('</think>')[-1] }}{{ t.find('|>') }}{{ t.startswith(('<s>', '</')) }}{{ t.strip('<>') }}{{ t.partition('|') }}\
     {{ t.count('<') }}{{ t.replace('<|', '(') }}{{ t is lower }}{{ t | length }}{{ t[1:3] }}{{ t | reverse }}{{ t | list | sort | join }}{{ t[t | length - 1] }}",
    "{% set t = messages[0].content %}{{ t | wordwrap(4) }}{{ t | truncate(6) }}{{ t | indent(1, true) }}{{ t | center(30) }}{{ t | wordcount }}{{ t | striptags }}{{ t | urlencode }}\
     {{ t | escape }}{{ {'a': t} | xmlattr }}{{ t | title }}{{ t | capitalize }}{{ t.expandtabs(2) }}{{ t.isprintable() }}",
    "{{ messages }}{{ tools }}{{ tools | tojson(indent=2, sort_keys=true) }}{{ messages | tojson(ensure_ascii=true) }}{{ messages | string | length }}",
    "{% for tool in tools or [] %}{{ tool.type == 'function' }}{{ tool.function.name }}{% for name, schema in tool.function.parameters.properties.items() %}\
     {{ name in tool.function.parameters.required }}{{ name == '<s>' }}{{ {'string': 'text'}[schema.type] }}{{ schema.enum[0] == schema['default'] }}{% endfor %}{% endfor %}",
];

/// Each with the control tokens and without any: then nothing is marked.
static SEEING: LazyLock<Vec<(ChatTemplate, ChatTemplate)>> = LazyLock::new(|| {
    let ours = ["turns", "parts", "composed", "thoughts", "types"].map(|name| read(&format!("templates/{name}.jinja")));
    let sources = ASKING.iter().chain(&HOSTILE).map(|source| (*source).to_owned()).chain(ours);
    let without = |source: &str| ChatTemplate::open(source, &special_tokens(), &[]).expect("opens");
    sources.map(|source| (open(&source), without(&source))).collect()
});

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
        "&lt;",
        "&#60;",
        "\u{f0000}",
        "\u{f0001}",
        "\u{10fffd}",
        "ſ",
        "ı",
    ]);
    let reversed = prop::bool::weighted(0.1);
    let parts = prop::collection::vec((part, between), 1..5).prop_flat_map(move |parts| {
        let text: String = parts.into_iter().map(|(part, between)| part + between).collect();
        reversed.prop_map(move |reversed| if reversed { text.chars().rev().collect() } else { text.clone() })
    });
    // Often the very text that templates compare with.
    let whole = prop::sample::select(vec!["<s>", "<|end|>", "</think>"]).prop_map(str::to_owned);
    prop_oneof![2 => parts, 1 => whole]
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
    fn hostile_text_leaves_the_control_tokens_of_a_chat_as_they_are(chat in hostile_chat(), number in 0..TEMPLATES.len() - 2) {
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
    fn a_rendering_is_the_same_text_whatever_the_control_tokens(chat in hostile_chat(), number in 0..SEEING.len()) {
        let text = |template: &ChatTemplate| rendered(template, &chat).map(|pieces| joined(&pieces));
        let (with_tokens, without) = &SEEING[number];
        prop_assert_eq!(text(with_tokens), text(without));
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
fn the_templates_of_these_tests_render_a_harmless_chat() {
    for with_tools in [false, true] {
        let chat = harmless(false, with_tools);
        for (number, template) in OPENED.iter().chain(SEEING.iter().flat_map(|(a, b)| [a, b])).enumerate() {
            assert!(template.render(&chat).is_ok(), "{number}: {:?}", template.render(&chat));
        }
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
