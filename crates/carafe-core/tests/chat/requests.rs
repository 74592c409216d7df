//! What is refused, and in which words.

use std::collections::BTreeMap;

use carafe_core::chat::{AddedToken, Chat, ChatTemplate, TemplateError};

use crate::{joined, open, template};

fn chat(messages: &str) -> Chat {
    Chat { messages: messages.to_owned(), ..Chat::default() }
}

fn error(chat: &Chat) -> String {
    let error = template("turns").render(chat).expect_err("refused");
    assert!(error.is_request_fault(), "{error}");
    error.to_string()
}

#[test]
fn fields_of_messages_are_refused_by_name() {
    let call = |call: &str| format!(r#"[{{"role": "assistant", "tool_calls": [{call}]}}]"#);
    for (messages, expected) in [
        ("{", "`messages` cannot be read: expected a key in double quotes at byte 1"),
        ("{}", "`messages` is an object; expected an array of messages"),
        ("[]", "`messages` is empty"),
        ("[7]", "`messages[0]` is a number"),
        (r#"[{"content": "x"}]"#, "`messages[0].role` is missing"),
        (
            r#"[{"role": "function", "content": "x"}]"#,
            "`messages[0].role` is `function`; expected `system`, `developer`, `user`, `assistant` or `tool`",
        ),
        (r#"[{"role": "user"}]"#, "`messages[0].content` is missing"),
        (r#"[{"role": "user", "content": null}]"#, "`messages[0].content` is missing"),
        (r#"[{"role": "user", "content": 7}]"#, "`messages[0].content` is a number; expected a string"),
        (
            r#"[{"role": "user", "content": [{"type": "image_url"}]}]"#,
            "`messages[0].content[0].type` is `image_url`; only `text` parts",
        ),
        (
            r#"[{"role": "user", "content": [{"type": "text", "text": 1}]}]"#,
            "`messages[0].content[0].text` is a number",
        ),
        (r#"[{"role": "user", "content": "x", "weight": 1}]"#, "`messages[0].weight` is not a known field"),
        (
            r#"[{"role": "user", "content": "x", "tool_calls": []}]"#,
            "`messages[0].tool_calls` belongs to messages of the role `assistant`",
        ),
        (r#"[{"role": "user", "content": "x", "tool_call_id": "1"}]"#, "`messages[0].tool_call_id` belongs to"),
        (r#"[{"role": "assistant", "content": "x", "refusal": "no"}]"#, "`messages[0].refusal` is not supported"),
        (&call("7"), "`messages[0].tool_calls[0]` is a number"),
        (&call("{}"), "`messages[0].tool_calls[0].function` is missing"),
        (&call(r#"{"type": "code"}"#), "`messages[0].tool_calls[0].type`"),
        (&call(r#"{"function": {"name": "f"}}"#), "`messages[0].tool_calls[0].function.arguments` is missing"),
        (&call(r#"{"function": {"arguments": "{}"}}"#), "`messages[0].tool_calls[0].function.name` is missing"),
    ] {
        let error = error(&chat(messages));
        assert!(error.starts_with(expected), "{messages}: {error}");
    }
}

#[test]
fn fields_of_tools_and_arguments_are_refused_by_name() {
    let user = r#"[{"role": "user", "content": "x"}]"#;
    for (tools, expected) in [
        ("{}", "`tools` is an object"),
        ("[1]", "`tools[0]` is a number"),
        ("[{}]", "`tools[0].type` is missing"),
        (r#"[{"type": "custom"}]"#, "`tools[0].type` must be `function`"),
        (r#"[{"type": "function"}]"#, "`tools[0].function` is missing"),
        (r#"[{"type": "function", "function": {}}]"#, "`tools[0].function.name` is missing"),
        (
            r#"[{"type": "function", "function": {"name": ""}}]"#,
            "`tools[0].function.name` is a string; expected a string that is not empty",
        ),
        (
            r#"[{"type": "function", "function": {"name": "f", "parameters": []}}]"#,
            "`tools[0].function.parameters` is an array",
        ),
    ] {
        let error = error(&Chat { tools: Some(tools.to_owned()), ..chat(user) });
        assert!(error.starts_with(expected), "{tools}: {error}");
    }
    for (arguments, expected) in [
        ("[]", "`chat_template_kwargs` is an array"),
        (r#"{"messages": []}"#, "`chat_template_kwargs.messages` is set by the request itself"),
        (r#"{"bos_token": ""}"#, "`chat_template_kwargs.bos_token` is set by"),
    ] {
        let error = error(&Chat { template_arguments: Some(arguments.to_owned()), ..chat(user) });
        assert!(error.starts_with(expected), "{arguments}: {error}");
    }
}

#[test]
fn tools_and_arguments_that_the_template_does_not_use_are_refused() {
    let tools = r#"[{"type": "function", "function": {"name": "f"}}]"#;
    let checked = |name: &str, tools: Option<&str>, arguments: Option<&str>| {
        let (tools, template_arguments) = (tools.map(str::to_owned), arguments.map(str::to_owned));
        let chat = Chat { tools, template_arguments, ..chat(r#"[{"role": "user", "content": "x"}]"#) };
        let template = template(name);
        let rendered = template.render(&chat).expect("renders");
        template.check_effects(&chat, &rendered).map_err(|error| error.to_string())
    };
    assert_eq!(checked("turns", Some(tools), None), Ok(()));
    assert_eq!(checked("composed", Some("[]"), None), Ok(()));
    assert!(checked("composed", Some(tools), None).is_err_and(|error| error.starts_with("`tools` have no effect")));
    // What is set where the template looks for it has an effect, or would have had one.
    assert_eq!(checked("thoughts", None, Some(r#"{"enable_thinking": true}"#)), Ok(()));
    assert_eq!(checked("types", None, Some(r#"{"effort": "high"}"#)), Ok(()));
    // Nothing is asked for by what is false or empty.
    assert_eq!(checked("turns", None, Some(r#"{"enable_thinking": false, "documents": []}"#)), Ok(()));
    let defaults = open("{% if not date is defined %}{% set date = 'today' %}{% endif %}{{ date }}");
    let dated = Chat {
        template_arguments: Some(r#"{"date": "now"}"#.to_owned()),
        ..chat(r#"[{"role": "user", "content": "x"}]"#)
    };
    assert!(defaults.check_effects(&dated, &defaults.render(&dated).expect("renders")).is_ok());
    let error = checked("turns", None, Some(r#"{"enable_thinking": true}"#)).expect_err("has no effect");
    assert!(error.starts_with("`chat_template_kwargs.enable_thinking` has no effect"), "{error}");
}

#[test]
fn fields_without_effect_are_taken_when_they_are_empty() {
    let messages = r#"[{"role": "assistant", "content": "x", "refusal": null, "annotations": [], "audio": null, "function_call": null, "tool_calls": [], "name": null}]"#;
    assert_eq!(joined(&template("turns").render(&chat(messages)).expect("renders")), "<|turn|>assistant\nx<|end|>\n");
}

#[test]
fn a_template_that_refuses_says_so_in_its_own_words() {
    let messages = r#"[{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]"#;
    let error = template("instructions").render(&chat(messages)).expect_err("refused");
    assert!(error.is_request_fault());
    assert_eq!(error.request_field(), Some("messages"));
    assert!(
        error.to_string().contains("(line 11): After the optional system message, roles must alternate"),
        "{error}"
    );
}

#[test]
fn a_template_that_fails_says_where_and_whose_fault_it_is() {
    let user = chat(r#"[{"role": "user", "content": "x"}]"#);
    let failed = |source: &str| open(source).render(&user).expect_err("fails");
    let error = failed("\n{{ messages[0].name + 'x' }}");
    assert!(error.is_request_fault() && error.to_string().contains("(line 2)"), "{error}");
    let error = failed("\n\n{{ messages | nosuch }}");
    assert!(!error.is_request_fault() && error.to_string().contains("(line 3)"), "{error}");
}

#[test]
fn work_and_output_are_bounded() {
    let user = chat(
        r#"[{"role": "user", "content": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]"#,
    );
    for source in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(t='x') %}{% for a in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% for a in range(9999) %}{{ messages[0].content * 9999 }}{% endfor %}",
        "{{ 'x' * 99999999 }}",
        "{% set ns = namespace(t=messages[0].content) %}{% for a in range(99) %}{% set ns.t = ns.t.replace('x', 'xxxx') %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x'.center(999999999999) }}",
    ] {
        let error = open(source).render(&user).expect_err(source);
        assert!(error.is_request_fault(), "{source}: {error}");
    }
}

#[test]
fn a_template_that_is_none_is_refused_with_its_line() {
    let open = |source: &str| ChatTemplate::open(source, &BTreeMap::new(), &[]).expect_err(source);
    for source in ["\n{% if %}", "\n{{ 'x' ", "\n{% include 'x' %}", "\n{% endfor %}"] {
        let error = open(source);
        assert!(matches!(error, TemplateError::Syntax { line: 2, .. }), "{error}");
    }
    assert!(matches!(open(&"x".repeat(1_000_000)), TemplateError::TooLong { .. }));
    let number = AddedToken { text: "7".to_owned(), special: true };
    let error = ChatTemplate::open("{{ messages }}", &BTreeMap::new(), &[number]).expect_err("forgeable");
    assert!(error.to_string().contains("the control token `7`"), "{error}");
}
