"""OpenAI's own Python client, unchanged, against a running server."""

import json
import urllib.request

import openai
import pytest
from serving import ENDS_WITHIN

PROMPT = "Once upon a time"
#: How often a patient client asks again, a second between: enough for a machine of any speed to let
#: its permits go.
RETRIES = 600
#: Work of several sequences that ends by itself.
LONG = {"model": "tales", "prompt": PROMPT, "max_tokens": 250, "n": 8, "extra_body": {"ignore_eos": True}}


def test_the_models_are_listed_and_one_is_shown(client):
    models = {model.id: model for model in client.models.list()}
    assert {"tales", "tiny", "mobilenet-v2"} <= models.keys()
    assert client.models.retrieve("tales").owned_by == "carafe"
    with pytest.raises(openai.NotFoundError, match="no model `gpt-9`"):
        client.models.retrieve("gpt-9")


def test_a_seed_gives_the_same_text_streamed_or_not(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 24, "seed": 7, "temperature": 0.8}
    whole = client.completions.create(**request)
    again = client.completions.create(**request)
    chunks = list(client.completions.create(**request, stream=True))
    streamed = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].text == again.choices[0].text == streamed != ""
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["length"]
    assert whole.usage.completion_tokens == 24
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 24


def test_a_stream_tells_its_usage_when_it_is_asked(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 5, "stream": True}
    chunks = list(client.completions.create(**request, stream_options={"include_usage": True}))
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 5)
    assert len(chunks) >= 6, "one chunk for each token"


def test_choice_j_is_what_its_own_seed_gives(start):
    # In `exact`: where bfloat16 runs on AMX, a request in a batch may differ from the same one
    # alone.
    client = start("--model", "tales", "--profile", "exact").client()
    request = {"model": "tales", "prompt": [PROMPT, "The king"], "max_tokens": 8}
    completion = client.completions.create(**request, n=2, seed=40)
    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert completion.carafe["seeds"] == [40, 41, 42, 43]
    for choice, seed in zip(completion.choices, completion.carafe["seeds"], strict=True):
        prompt = request["prompt"][choice.index // 2]
        assert client.completions.create(**request | {"prompt": prompt}, seed=seed).choices[0].text == choice.text
    assert completion.usage.completion_tokens == 32


def test_equal_prompts_without_a_seed_are_continued_differently_and_each_can_be_had_again(start):
    # OpenAI's own example of batching asks for ten stories by ten equal prompts.
    client = start("--model", "tales", "--profile", "exact").client()
    request = {"model": "tales", "max_tokens": 20}
    stories = client.completions.create(**request, prompt=[PROMPT] * 10)
    texts = [choice.text for choice in stories.choices]
    assert len(set(texts)) == 10
    again = client.completions.create(**request, prompt=PROMPT, seed=stories.carafe["seeds"][6])
    assert again.choices[0].text == texts[6]


def test_values_that_ask_for_nothing_are_taken(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 3, "temperature": 0}
    plain = client.completions.create(**request).choices[0].text
    nothing = {
        "suffix": "", "best_of": 0, "stop": "", "logit_bias": {}, "user": "someone", "stream": False,
        "stream_options": {"include_obfuscation": False, "include_usage": False},
        "extra_body": {
            "top_k": -1, "length_penalty": 1, "use_beam_search": False, "response_format": {"type": "text"},
            "metadata": {"purpose": "a test"}, "store": False,
        },
    }  # fmt: skip
    assert client.completions.create(**request, **nothing).choices[0].text == plain
    assert client.completions.create(**request, extra_body={"top_k": 0}).choices[0].text == plain
    assert client.completions.create(**request, stop=["", ""]).choices[0].text == plain
    streamed = client.completions.create(**request, stream=True, stream_options={"include_obfuscation": False})
    assert "".join(choice.text for chunk in streamed for choice in chunk.choices) == plain


def test_values_at_the_ends_of_the_api_are_taken(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 6}
    greedy = client.completions.create(**request, temperature=0).choices[0].text
    assert client.completions.create(**request, top_p=0).choices[0].text == greedy
    for seed in [-1, -(2**63), 2**64 - 1]:
        completion = client.completions.create(**request, seed=seed)
        assert completion.carafe["seeds"] == [seed % 2**64]
    assert client.completions.create(**request, n=2, seed=-1).carafe["seeds"] == [2**64 - 1, 0]
    none = client.completions.create(**request | {"max_tokens": 0}).choices[0]
    assert (none.text, none.finish_reason) == ("", "length")
    for prompt in ["", [""], [[]], None]:
        completion = client.completions.create(**request | {"prompt": prompt})
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens > 0) == (1, True)
    best = client.completions.create(**request | {"max_tokens": 2}, best_of=20)
    assert (len(best.choices), best.usage.completion_tokens) == (1, 40)


def test_a_model_need_not_be_named(server):
    body = json.dumps({"prompt": PROMPT, "max_tokens": 1}).encode()
    request = urllib.request.Request(f"{server.url}/v1/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["model"] in {"tales", "tiny"}


def test_without_max_tokens_what_fits_is_generated(client):
    for prompt_tokens, generated in [(250, 6), (256, 0)]:
        completion = client.completions.create(model="tales", prompt=[7] * prompt_tokens, extra_body={"ignore_eos": True})
        assert completion.usage.completion_tokens == generated
        assert completion.choices[0].finish_reason == "length"


def test_log_probabilities_of_a_greedy_text_are_those_of_the_best_tokens(client):
    completion = client.completions.create(model="tales", prompt=PROMPT, max_tokens=6, temperature=0, logprobs=3)
    logprobs = completion.choices[0].logprobs
    assert "".join(logprobs.tokens) == completion.choices[0].text
    for logprob, top in zip(logprobs.token_logprobs, logprobs.top_logprobs, strict=True):
        assert len(top) == 3
        assert logprob == max(top.values())
    assert logprobs.text_offset[1] == len(logprobs.tokens[0])


def test_a_text_is_scored_as_it_was_when_it_was_generated(client):
    # In `exact` and `fast` alike a prompt that is cut otherwise moves logits a little; see docs/precision.md.
    written = client.completions.create(model="tales", prompt=PROMPT, max_tokens=8, temperature=0, logprobs=1)
    scored = client.completions.create(
        model="tales", prompt=PROMPT + written.choices[0].text, max_tokens=0, echo=True, logprobs=1
    )
    choice = scored.choices[0]
    assert choice.text == PROMPT + written.choices[0].text
    assert (choice.logprobs.token_logprobs[0], scored.usage.completion_tokens) == (None, 0)
    assert choice.logprobs.token_logprobs[-8:] == pytest.approx(written.choices[0].logprobs.token_logprobs, abs=0.05)


def test_best_of_answers_the_most_probable_of_its_sequences(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 6, "seed": 3, "logprobs": 0}
    every = client.completions.create(**request, n=4).choices
    best = client.completions.create(**request, best_of=4)

    def mean(choice):
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    assert best.choices[0].text == max(every, key=mean).text
    assert best.usage.completion_tokens == 24


def test_a_stop_text_ends_the_output_and_is_not_in_it(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 40, "temperature": 0}
    whole = client.completions.create(**request).choices[0].text
    word = whole.split()[3]
    cut = client.completions.create(**request, stop=[word, "never written"]).choices[0]
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(word)], "stop")


def test_a_bias_makes_and_forbids_tokens(client):
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 3, "temperature": 0}
    [token] = {7: None}
    forced = client.completions.create(**request, logit_bias={str(token): 100}, logprobs=0)
    free = client.completions.create(**request, logprobs=0)
    assert len(set(forced.choices[0].logprobs.tokens)) == 1
    assert forced.choices[0].text != free.choices[0].text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_p", 1.5),
        ("temperature", 2.5),
        ("n", 129),
        ("best_of", 21),
        ("logprobs", 21),
        ("suffix", "x"),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("seed", 1.5),
    ],
)
def test_an_impossible_value_is_refused_by_the_name_of_its_field(client, field, value):
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model="tales", prompt=PROMPT, **{field: value})
    assert error.value.param == field
    assert error.value.body["request_id"] == error.value.request_id


def test_what_does_not_fit_into_the_context_is_refused_and_not_cut(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model="tales", prompt=PROMPT, max_tokens=4096)
    assert (error.value.code, error.value.param) == ("context_length_exceeded", "max_tokens")
    assert error.value.body["message"] == (
        "This model's maximum context length is 256 tokens; `prompt` has 4 and `max_tokens` is 4096; "
        "the largest `max_tokens` that fits is 252"
    )
    assert client.completions.create(model="tales", prompt=PROMPT, max_tokens=252).usage.total_tokens <= 256


@pytest.mark.parametrize("length", [1_000, 3_840, 3_841, 600_000, 4_000_000])
def test_a_text_beyond_the_context_has_one_code_whatever_its_length(client, length):
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model="tales", prompt="q9" * (length // 2))
    assert (error.value.code, error.value.param) == ("context_length_exceeded", "prompt")
    assert error.value.body["message"].startswith("This model's maximum context length is 256 tokens; `prompt` has ")


def test_a_chat_is_refused_in_words(client):
    with pytest.raises(openai.BadRequestError, match="no chat template"):
        client.chat.completions.create(model="tales", messages=[{"role": "user", "content": "hello"}])


def test_what_the_cache_holds_of_a_prompt_is_told_and_can_be_done_without(client):
    request = {"model": "tales", "prompt": list(range(1000, 1100)), "max_tokens": 4, "seed": 3}

    def cached(**extra):
        usage = client.completions.create(**request, extra_body=extra).usage
        assert usage.prompt_tokens == 100
        return usage.prompt_tokens_details.cached_tokens

    assert cached(prefix_cache=False) == 0
    assert cached() == 0, "the first left nothing"
    assert cached(n=3) == 96, "three full blocks of 32 tokens"
    assert cached(prefix_cache=False) == 0


def test_one_keys_prompt_is_not_found_by_another_unless_prefixes_are_shared(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key-0123456789\nsecond-key-0123456789\n")

    def cached(server, key):
        completion = server.client(api_key=key).completions.create(model="tales", prompt=list(range(1000, 1100)), max_tokens=1)
        return completion.usage.prompt_tokens_details.cached_tokens

    keys_in_turn = ["first-key-0123456789", "second-key-0123456789"] * 2
    for flags, expected in [
        ((), [0, 0, 96, 96]),
        (("--share-prefixes",), [0, 96, 96, 96]),
        (("--no-prefix-cache",), [0, 0, 0, 0]),
    ]:
        server = start("--model", "tales", "--api-key-file", str(keys), *flags)
        assert [cached(server, key) for key in keys_in_turn] == expected


def test_keys_are_asked_for_where_there_are_keys(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# two people\nfirst-key-0123456789\nsecond-key-0123456789\n")
    server = start("--model", "tiny", "--api-key-file", str(keys))
    assert server.client(api_key="second-key-0123456789").models.list().data[0].id == "tiny"
    with pytest.raises(openai.AuthenticationError):
        server.client(api_key="third-key-0123456789").models.list()


def test_a_key_whose_tokens_are_used_up_is_told_when_to_come_again(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key-0123456789 tokens_per_minute=1\nsecond-key-0123456789\n")
    server = start("--model", "tales", "--api-key-file", str(keys))
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 16, "extra_body": {"ignore_eos": True}}
    client = server.client(api_key="first-key-0123456789")
    headers = client.completions.with_raw_response.create(**request).headers
    assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("1", "0")
    # The 20 tokens are those of 20 minutes, longer than a client of OpenAI's waits by itself.
    with pytest.raises(openai.RateLimitError, match="`tokens_per_minute` is 1") as error:
        server.client(api_key="first-key-0123456789", max_retries=RETRIES).completions.create(**request)
    assert error.value.code == "rate_limit_exceeded"
    assert int(error.value.response.headers["retry-after"]) > 0
    server.client(api_key="second-key-0123456789").completions.create(**request)


def test_a_full_queue_refuses_at_once_and_a_patient_client_gets_through(start_busy):
    server = start_busy()
    request = {"model": "tales", "prompt": PROMPT, "max_tokens": 1}
    with server.busy() as release:
        with pytest.raises(openai.RateLimitError) as error:
            server.client().completions.create(**request)
        assert error.value.response.headers["retry-after"] == "1"

        def release_when_refused(answer):
            if answer.status_code == 429:
                release()

        http_client = openai.DefaultHttpxClient(event_hooks={"response": [release_when_refused]})
        completion = server.client(max_retries=RETRIES, http_client=http_client).completions.create(**request)
    assert completion.usage.completion_tokens == 1


def test_a_server_that_is_told_to_stop_finishes_its_streams(start):
    server = start("--model", "tales", "--drain", str(int(ENDS_WITHIN)))
    stream = iter(server.client().completions.create(**LONG, stream=True))
    chunks = [next(stream)]
    server.process.terminate()
    chunks.extend(stream)
    finished = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finished == ["length"] * 8
    assert server.process.wait(ENDS_WITHIN) == 0
    with pytest.raises(openai.APIConnectionError):
        server.client().models.list()
