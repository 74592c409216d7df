"""Conversations by OpenAI's own Python client, as its documentation shows them, against a model that has a template."""

import openai
import pytest
from serving import THINKING_TEMPLATE, Server, chat_models

HELLO = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """OpenAI's client of a server of `tiny-chat`. In `exact`, texts do not depend on what else is in a batch."""
    models = chat_models(tmp_path_factory.mktemp("models"))
    server = Server("--models", str(models), "--model", "tiny-chat", "--profile", "exact")
    yield server.client()
    assert server.stop() == 0


def ask(client: openai.OpenAI, **options):
    defaults = {"model": "tiny-chat", "messages": HELLO, "max_completion_tokens": 8, "seed": 5}
    options["extra_body"] = {"ignore_eos": True} | options.get("extra_body", {})
    return client.chat.completions.create(**defaults | options)


def test_a_conversation_is_answered_as_the_documentation_shows(chat):
    completion = ask(chat, n=2)
    assert completion.object == "chat.completion"
    assert [choice.message.role for choice in completion.choices] == ["assistant"] * 2
    assert completion.choices[0].message.content != completion.choices[1].message.content
    assert completion.usage.completion_tokens == 16
    assert completion.choices[0].message.refusal is None


def test_a_stream_is_the_same_answer_with_the_role_first(chat):
    whole = ask(chat).choices[0]
    chunks = list(ask(chat, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == 8
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == whole.finish_reason
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == whole.message.content


def test_the_clients_stream_helper_puts_the_message_together(chat):
    options = {"model": "tiny-chat", "messages": HELLO, "max_completion_tokens": 8, "seed": 5}
    with chat.chat.completions.stream(**options, extra_body={"ignore_eos": True}) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.current_completion_snapshot
    assert "".join(texts) == final.choices[0].message.content == ask(chat).choices[0].message.content


def test_text_parts_are_a_text(chat):
    parts = [HELLO[0], {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert ask(chat, messages=parts).choices[0].message.content == ask(chat).choices[0].message.content


def test_log_probabilities_have_an_entry_for_each_token(chat):
    logprobs = ask(chat, logprobs=True, top_logprobs=3, temperature=0).choices[0].logprobs
    assert len(logprobs.content) == 8
    for token in logprobs.content:
        assert token.token == token.top_logprobs[0].token
        assert token.bytes == token.top_logprobs[0].bytes
        assert len(token.top_logprobs) == 3


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": []}, "messages"),
        ({"tool_choice": {"type": "function", "function": {"name": "a"}}}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"store": True}, "store"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(chat, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        ask(chat, **options)
    assert error.value.param.startswith(param), error.value


def test_reasoning_streams_apart_from_the_answer(start, tmp_path):
    models = chat_models(tmp_path, THINKING_TEMPLATE)
    client = start("--models", str(models), "--model", "tiny-chat", "--profile", "exact").client()
    message = ask(client).choices[0].message
    assert message.content == ""
    deltas = [choice.delta for chunk in ask(client, stream=True) for choice in chunk.choices]
    streamed = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert streamed == message.reasoning_content != ""
