"""Streams and log-probabilities, read by OpenAI's Python client and as the raw chunks that are sent."""

import json
import urllib.request

import jsonschema_rs
import pytest
from serving import ANSWERS_WITHIN

PROMPT = "Once upon a time"
#: Tokens of `tales`: end of text, ` the`, and single bytes.
END, THE, BYTE_80, BYTE_8B = 0, 263, 223, 234
#: 👋 without its last byte, which is `BYTE_8B`.
HAND_BEGUN = [173, 254, 240]

#: `CreateCompletionResponse` of OpenAI's OpenAPI description, as its own server fills it in a
#: stream: nothing has finished in a chunk before the last, nothing precedes the first token of an
#: echoed prompt, and `usage` is null until it comes. `carafe` is ours.
LOGPROBS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text_offset", "token_logprobs", "tokens", "top_logprobs"],
    "properties": {
        "text_offset": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "token_logprobs": {"type": "array", "items": {"type": ["number", "null"]}},
        "tokens": {"type": "array", "items": {"type": "string"}},
        "top_logprobs": {
            "type": "array",
            "items": {"type": ["object", "null"], "additionalProperties": {"type": "number", "minimum": -9999, "maximum": 0}},
        },
    },
}
CHOICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["finish_reason", "index", "logprobs", "text"],
    "properties": {
        "finish_reason": {"enum": ["stop", "length", "content_filter", None]},
        "index": {"type": "integer", "minimum": 0},
        "logprobs": {"anyOf": [LOGPROBS, {"type": "null"}]},
        "text": {"type": "string"},
    },
}
USAGE = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "required": ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"],
    "properties": {name: {"type": "integer"} for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    | {
        "prompt_tokens_details": {
            "type": "object",
            "additionalProperties": False,
            "required": ["cached_tokens"],
            "properties": {"cached_tokens": {"type": "integer"}},
        }
    },
}
CHUNK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "object", "created", "model", "choices"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "text_completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "system_fingerprint": {"type": "string"},
        "choices": {"type": "array", "items": CHOICE, "maxItems": 1},
        "usage": USAGE,
        "carafe": {"type": "object"},
    },
}


def raw_chunks(server, **fields):
    """The chunks of a stream as JSON, each of them what OpenAI's description says."""
    body = json.dumps({"model": "tales", "stream": True} | fields).encode()
    request = urllib.request.Request(f"{server.url}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        lines = [line.removeprefix(b"data: ").strip() for line in answer if line.startswith(b"data: ")]
    assert lines.pop() == b"[DONE]"
    chunks = [json.loads(line) for line in lines]
    for chunk in chunks:
        jsonschema_rs.validator_for(CHUNK).validate(chunk)
    return chunks


def test_the_plainest_loop_over_a_stream_joins_to_the_text_that_comes_at_once(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 12, "seed": 7}
    text = ""
    for chunk in client.completions.create(**request, stream=True):
        text += chunk.choices[0].text
    assert text == client.completions.create(**request).choices[0].text != ""


@pytest.mark.parametrize("fields", [{}, {"n": 3}, {"echo": True, "logprobs": 2}, {"echo": True, "max_tokens": 0, "logprobs": 0}])
def test_every_chunk_has_one_choice_and_the_last_the_report(server, fields):
    chunks = raw_chunks(server, **({"prompt": PROMPT, "max_tokens": 4} | fields))
    assert all(len(chunk["choices"]) == 1 and "usage" not in chunk for chunk in chunks)
    assert ["carafe" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["choices"][0]["finish_reason"] in {"length", "stop"}
    assert chunks[-1]["carafe"]["total_ms"] > 0


def test_usage_that_is_asked_for_comes_in_a_chunk_of_its_own_behind_the_report(server):
    chunks = raw_chunks(server, prompt=PROMPT, max_tokens=4, n=2, ignore_eos=True, stream_options={"include_usage": True})
    assert [len(chunk["choices"]) for chunk in chunks] == [1] * (len(chunks) - 1) + [0]
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1]["usage"]["completion_tokens"] == 8
    assert ["carafe" in chunk for chunk in chunks[-2:]] == [True, False]


def streamed(server, **request):
    """Text and log-probabilities of a stream, joined; no offset may lie beyond the text that was sent by then."""
    text, logprobs = "", {name: [] for name in LOGPROBS["required"]}
    for chunk in raw_chunks(server, **request):
        [choice] = chunk["choices"]
        text += choice["text"]
        for name, entries in (choice["logprobs"] or {}).items():
            logprobs[name].extend(entries)
        assert all(offset <= len(text) for offset in logprobs["text_offset"])
    return text, logprobs


CASES = {
    "lone bytes": ({"prompt": PROMPT, "logit_bias": {BYTE_80: 100}, "max_tokens": 3}, "\ufffd\ufffd\ufffd", [0, 1, 2]),
    "end of text": ({"prompt": PROMPT, "logit_bias": {END: 100}, "max_tokens": 3}, "", [0]),
    "ignored end of text": (
        {"prompt": PROMPT, "logit_bias": {END: 100}, "max_tokens": 3, "ignore_eos": True},
        "",
        [0, 0, 0],
    ),
    "a stop text over tokens": (
        {"prompt": PROMPT, "logit_bias": {THE: 100}, "max_tokens": 9, "stop": "e the the"},
        " th",
        [0, 3, 3],
    ),
    "text held back to the end": (
        {"prompt": PROMPT, "logit_bias": {THE: 100}, "max_tokens": 2, "stop": "e the the"},
        " the the",
        [0, 4],
    ),
    "a character over the border of an echoed prompt": (
        {"prompt": HAND_BEGUN, "logit_bias": {BYTE_8B: 100}, "max_tokens": 1, "echo": True},
        "👋",
        [0, 0, 0, 0],
    ),
    "a character that an echoed prompt begins and nothing ends": (
        {"prompt": HAND_BEGUN, "logit_bias": {THE: 100}, "max_tokens": 1, "echo": True},
        "\ufffd the",
        [0, 0, 0, 1],
    ),
    "a scored prompt that ends inside a character": (
        {"prompt": HAND_BEGUN, "max_tokens": 0, "echo": True},
        "\ufffd",
        [0, 0, 0],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_offsets_count_the_characters_of_the_text_that_is_sent_streamed_or_not(server, client, case):
    request, text, offsets = CASES[case]
    request = request | {"logprobs": 1, "temperature": 0}
    request["logit_bias"] = {str(token): bias for token, bias in request.get("logit_bias", {}).items()}
    choice = client.completions.create(
        model="tales",
        **{name: value for name, value in request.items() if name != "ignore_eos"},
        extra_body={"ignore_eos": request.get("ignore_eos", False)},
    ).choices[0]
    assert (choice.text, choice.logprobs.text_offset) == (text, offsets)
    stream_text, stream_logprobs = streamed(server, **request)
    assert (stream_text, stream_logprobs["text_offset"]) == (text, offsets)
    assert stream_logprobs["tokens"] == choice.logprobs.tokens


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_alternatives_hold_the_sampled_token_as_well(client, count):
    # At this temperature many tokens are none of the best.
    completion = client.completions.create(
        model="tales", prompt=PROMPT, max_tokens=24, temperature=2, seed=1, echo=True, logprobs=count
    )
    logprobs = completion.choices[0].logprobs
    assert (logprobs.token_logprobs[0], logprobs.top_logprobs[0]) == (None, None)
    entries = list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True))[1:]
    for token, logprob, top in entries:
        assert top[token] == logprob
        assert len(top) in {count, count + 1} - {0}
        assert list(top.values()) == sorted(top.values(), reverse=True)
    assert any(len(top) == count + 1 for _, _, top in entries)
