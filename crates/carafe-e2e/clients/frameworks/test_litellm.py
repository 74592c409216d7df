"""LiteLLM's `text_completion` with the provider for servers like OpenAI's, and what it makes of errors."""

import asyncio

import litellm
import pytest

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def options(server):
    return {"model": "text-completion-openai/tales", "api_base": f"{server.url}/v1", "api_key": "not asked for", "max_retries": 0}


def test_a_text_is_the_same_whole_streamed_and_asynchronous(options):
    request = {**options, "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    whole = litellm.text_completion(**request)
    chunks = litellm.text_completion(**request, stream=True)
    assert "".join(chunk.choices[0].text or "" for chunk in chunks) == whole.choices[0].text != ""
    assert asyncio.run(litellm.atext_completion(**request)).choices[0].text == whole.choices[0].text
    assert whole.usage.completion_tokens == 12


def test_several_prompts_are_one_request(options):
    answer = litellm.text_completion(**options, prompt=[PROMPT, "The king"], max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_log_probabilities_come_through(options):
    answer = litellm.text_completion(**options, prompt=PROMPT, max_tokens=4, logprobs=2)
    assert len(answer.choices[0].logprobs.token_logprobs) == 4


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"prompt": PROMPT, "max_tokens": 4000}, id="max_tokens"),
        pytest.param({"prompt": "tell " * 300}, id="tokens"),
        pytest.param({"prompt": "tell " * 3000}, id="bytes"),
        pytest.param({"prompt": [[7] * 300]}, id="ids"),
    ],
)
def test_a_prompt_or_an_answer_beyond_the_context_is_known_for_what_it_is(options, request_):
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.text_completion(**options, **request_)


def test_errors_of_other_kinds_are_not_taken_for_it(options, start_busy):
    with pytest.raises(litellm.NotFoundError):
        litellm.text_completion(**options | {"model": "text-completion-openai/gpt-9"}, prompt=PROMPT)
    with pytest.raises(litellm.BadRequestError) as error:
        litellm.text_completion(**options, prompt=PROMPT, temperature=9)
    assert not isinstance(error.value, litellm.ContextWindowExceededError)
    server = start_busy()
    with server.busy(), pytest.raises(litellm.RateLimitError):
        litellm.text_completion(**options | {"api_base": f"{server.url}/v1"}, prompt=PROMPT)
