"""LangChain's `OpenAI`: a text model behind `base_url`."""

import asyncio

import openai
import pytest
from langchain_core.prompts import PromptTemplate
from langchain_openai import OpenAI

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def llm(server):
    return model(server)


def model(server, **options):
    address = {"base_url": f"{server.url}/v1", "api_key": "not asked for"}
    return OpenAI(model="tales", max_retries=2, **address, **({"max_tokens": 12, "temperature": 0} | options))


def test_a_text_is_the_same_invoked_streamed_and_asynchronous(llm):
    text = llm.invoke(PROMPT)
    assert text != ""
    assert "".join(llm.stream(PROMPT)) == text

    async def whole_and_streamed() -> list[str]:
        chunks = [chunk async for chunk in llm.astream(PROMPT)]
        return [await llm.ainvoke(PROMPT), "".join(chunks)]

    assert asyncio.run(whole_and_streamed()) == [text, text]


def test_a_template_is_a_chain_with_the_model(llm):
    chain = PromptTemplate.from_template("{who} said: ") | llm
    assert chain.invoke({"who": "The king"}) == llm.invoke("The king said: ")


def test_a_batch_is_one_request_and_gives_each_prompt_its_own_text(llm):
    prompts = [PROMPT, "The king", "The fox"]
    result = llm.generate(prompts)
    assert [generations[0].text for generations in result.generations] == [llm.invoke(prompt) for prompt in prompts]
    assert result.llm_output["token_usage"]["completion_tokens"] == 36


def test_several_choices_are_several_texts(server):
    result = model(server, n=3, best_of=3, temperature=0.9).generate([PROMPT])
    assert len({generation.text for generation in result.generations[0]}) == 3


def test_log_probabilities_and_stop_texts_come_through(server):
    generation = model(server, logprobs=2).generate([PROMPT]).generations[0][0]
    assert len(generation.generation_info["logprobs"]["token_logprobs"]) == 12
    first = generation.text.split()[0]
    assert model(server).invoke(PROMPT, stop=[first]).strip() == ""


def test_what_does_not_fit_is_openais_error_for_it(server):
    # LangChain asks for 256 tokens by default, which is all that this model's context holds.
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens") as error:
        model(server, max_tokens=256).invoke(PROMPT)
    assert error.value.code == "context_length_exceeded"
