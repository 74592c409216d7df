"""LangChain's `ChatOpenAI`: a model that converses behind `base_url`."""

import asyncio
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from serving import ROOT, Server, chat_models

MESSAGES = [
    ("system", "You are a helpful translator. Translate the user sentence to French."),
    ("human", "I love programming."),
]


@pytest.fixture(scope="module")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    models = chat_models(tmp_path_factory.mktemp("models"), model=ROOT / "models/tales")
    server = Server("--models", str(models), "--model", "tales-chat", "--profile", "exact")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def llm(chat_server: Server) -> ChatOpenAI:
    address = {"base_url": f"{chat_server.url}/v1", "api_key": "not asked for"}
    return ChatOpenAI(model="tales-chat", temperature=0, max_tokens=12, max_retries=0, **address)


def test_a_conversation_is_the_same_invoked_streamed_and_asynchronous(llm):
    message = llm.invoke(MESSAGES)
    assert isinstance(message, AIMessage)
    assert message.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.content for chunk in llm.stream(MESSAGES)) == message.content

    async def whole_and_streamed() -> list[str]:
        chunks = [chunk.content async for chunk in llm.astream(MESSAGES)]
        return [(await llm.ainvoke(MESSAGES)).content, "".join(chunks)]

    assert asyncio.run(whole_and_streamed()) == [message.content] * 2


def test_a_template_is_a_chain_with_the_model(llm):
    prompt = ChatPromptTemplate([("system", "You translate to {language}."), ("human", "{text}")])
    answer = (prompt | llm).invoke({"language": "German", "text": "I love programming."})
    direct = llm.invoke([SystemMessage("You translate to German."), HumanMessage("I love programming.")])
    assert answer.content == direct.content


def test_log_probabilities_come_with_the_message(llm):
    message = llm.bind(logprobs=True, top_logprobs=2).invoke(MESSAGES)
    tokens = message.response_metadata["logprobs"]["content"]
    assert len(tokens) == message.usage_metadata["output_tokens"]
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)
