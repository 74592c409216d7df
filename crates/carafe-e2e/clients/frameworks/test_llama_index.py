"""LlamaIndex's `OpenAILike`: a text model that is no chat model."""

import asyncio

import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

PROMPT = "Once upon a time"


def model(server, **options):
    settings = {"max_tokens": 12, "temperature": 0, "context_window": 256, "max_retries": 0} | options
    return OpenAILike(model="tales", api_base=f"{server.url}/v1", api_key="fake", is_chat_model=False, **settings)


def test_a_text_is_the_same_whole_streamed_and_asynchronous(server):
    llm = model(server)
    text = llm.complete(PROMPT).text
    assert text != ""
    assert list(llm.stream_complete(PROMPT))[-1].text == text

    async def whole_and_streamed() -> list[str]:
        pieces = [piece async for piece in await llm.astream_complete(PROMPT)]
        return [(await llm.acomplete(PROMPT)).text, pieces[-1].text]

    assert asyncio.run(whole_and_streamed()) == [text, text]


def test_without_a_number_of_tokens_the_server_chooses_one(server):
    assert model(server, max_tokens=None).complete(PROMPT).text != ""


def test_a_chat_is_made_a_text_by_the_library(server):
    assert model(server).chat([ChatMessage(role="user", content="Who are you?")]).message.content != ""


def test_log_probabilities_and_usage_come_through(server):
    answer = model(server, additional_kwargs={"logprobs": 2}).complete(PROMPT)
    assert len(answer.logprobs) == 12
    assert answer.additional_kwargs["completion_tokens"] == 12


def test_what_does_not_fit_is_openais_error_for_it(server):
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens"):
        model(server, max_tokens=300).complete(PROMPT)
