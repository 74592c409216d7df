"""Completions as OpenAI's documentation and cookbook show them in Python: nothing is changed but the model and the address."""

import asyncio

import openai
import pytest

MODEL = "tales"
PROMPT = "Say this is a test"


def test_the_plain_loop_over_a_stream_prints_every_text(client):
    stream = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=7, temperature=0, stream=True)
    text = ""
    for completion in stream:
        text += completion.choices[0].text
    whole = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=7, temperature=0)
    assert text == whole.choices[0].text != ""


def test_a_stream_is_taken_by_hand_and_then_by_a_loop(client):
    response = client.completions.create(model=MODEL, prompt="1,2,3,", max_tokens=5, temperature=0, stream=True)
    first = next(response)
    chunks = [first.to_json(), *(data.to_json() for data in response)]
    assert all('"object": "text_completion"' in chunk for chunk in chunks)


def test_the_asynchronous_client_streams_with_the_same_loop(server):
    async def main() -> str:
        async with openai.AsyncOpenAI(**server.options()) as client:
            stream = await client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=7, temperature=0, stream=True)
            return "".join([completion.choices[0].text async for completion in stream])

    whole = server.client().completions.create(model=MODEL, prompt=PROMPT, max_tokens=7, temperature=0)
    assert asyncio.run(main()) == whole.choices[0].text


def test_asynchronous_requests_run_beside_each_other(server):
    async def main() -> list[str]:
        async with openai.AsyncOpenAI(**server.options()) as client:
            asked = [client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=5, seed=seed) for seed in range(8)]
            return [completion.choices[0].text for completion in await asyncio.gather(*asked)]

    assert len(asyncio.run(main())) == 8


def test_ten_stories_from_one_request_are_ten_stories(client):
    num_stories = 10
    prompts = ["Once upon a time,"] * num_stories
    response = client.completions.create(model=MODEL, prompt=prompts, max_tokens=20)
    stories = [""] * len(prompts)
    for choice in response.choices:
        stories[choice.index] = prompts[choice.index] + choice.text
    assert all(story.startswith(prompts[0]) for story in stories)
    assert len(set(stories)) == num_stories, stories


def test_ten_stories_stream_in_one_answer(client):
    prompts = ["Once upon a time,"] * 10
    stories = list(prompts)
    for chunk in client.completions.create(model=MODEL, prompt=prompts, max_tokens=20, stream=True):
        for choice in chunk.choices:
            stories[choice.index] += choice.text
    assert len(set(stories)) == len(prompts), stories


def test_each_token_comes_with_its_log_probability_and_its_alternatives(client):
    response = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8, temperature=1, seed=5, logprobs=5)
    logprobs = response.choices[0].logprobs
    columns = (logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs)
    assert len(logprobs.tokens) == 8
    for token, logprob, top in zip(*columns, strict=True):
        assert top[token] == logprob, "the sampled token is among the alternatives"
        assert len(top) in (5, 6)


def test_errors_are_handled_by_their_classes(client):
    with pytest.raises(openai.APIStatusError, match="maximum context length is 256 tokens") as raised:
        client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=100_000)
    error = raised.value
    assert isinstance(error, openai.BadRequestError)
    assert (error.status_code, error.response.status_code) == (400, 400)
    assert (error.code, error.param, error.type) == ("context_length_exceeded", "max_tokens", "invalid_request_error")
    assert error.request_id == error.response.headers["x-request-id"]


def test_a_server_that_is_gone_is_a_connection_error(start):
    server = start("--model", "tiny")
    client = server.client(max_retries=1)
    assert server.stop() == 0
    with pytest.raises(openai.APIConnectionError) as error:
        client.completions.create(model="tiny", prompt=PROMPT)
    assert error.value.__cause__ is not None


def test_a_time_that_is_too_short_is_a_timeout_error(client):
    with pytest.raises(openai.APITimeoutError):
        # No machine makes 200 tokens, one after the other, in a millisecond.
        client.with_options(timeout=0.001).completions.create(model=MODEL, prompt=PROMPT, max_tokens=200)


def test_a_request_is_retried_by_option(start_busy):
    server = start_busy()
    client, answers = counting(server)
    request = {"model": MODEL, "prompt": PROMPT, "max_tokens": 1}
    with server.busy():
        with pytest.raises(openai.RateLimitError):
            client.with_options(max_retries=1).completions.create(**request)
        assert answers == [429, 429]
    completion = client.with_options(max_retries=600).completions.create(**request)
    assert completion.choices[0].finish_reason == "length"


def counting(server):
    """A client, and the statuses that it has been answered."""
    answers = []
    hooks = {"response": [lambda answer: answers.append(answer.status_code)]}
    return server.client(http_client=openai.DefaultHttpxClient(event_hooks=hooks)), answers


def test_the_raw_response_has_headers_and_the_parsed_completion(client):
    response = client.completions.with_raw_response.create(model=MODEL, prompt=PROMPT, max_tokens=3)
    completion = response.parse()
    assert response.headers.get("x-request-id") == completion._request_id
    assert completion.usage.completion_tokens <= 3


def test_the_lines_of_a_streamed_response_are_read_as_they_come(client):
    request = {"model": MODEL, "prompt": PROMPT, "max_tokens": 3, "stream": True}
    with client.completions.with_streaming_response.create(**request) as response:
        assert response.headers.get("content-type").startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_organisation_project_headers_and_parameters_of_ones_own_are_no_hindrance(server):
    client = server.client(organization="org-1", project="proj-1", default_headers={"X-Foo": "bar"})
    completion = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=2, user="user-1234", extra_headers={"X-Bar": "baz"}, extra_body={"top_k": 5}
    )
    assert completion.choices[0].text != ""


def test_a_stream_that_is_closed_early_frees_its_sequence(start):
    server = start("--model", MODEL)
    with server.client().completions.create(model=MODEL, prompt=PROMPT, stream=True, n=16, max_tokens=200) as stream:
        next(iter(stream))
    server.wait("let go of the sequences", lambda: server.sequences() == 0)
