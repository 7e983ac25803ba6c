"""OpenAI's SDK: every way of asking, plain, streamed and asynchronous."""

import asyncio

import openai
import pytest
from pydantic import BaseModel

from tests.sdk.conftest import CHAT_COST, EMBEDDING_COST

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Trip(BaseModel):
    city: str
    days: int


@pytest.fixture
def client(site):
    with openai.OpenAI(api_key=site.key, base_url=f"{site.url}/v1") as client:
        yield client


@pytest.fixture
def tagged(site):
    return {"extra_body": {"metadata": {"tags": [site.tag]}}}


def test_it_chats(client, site, tagged):
    reply = client.chat.completions.create(model=site.chat, messages=HELLO, **tagged)

    assert reply.choices[0].message.content == "Hello! How can I help you today?"
    assert site.logged() == [("chat/completions", CHAT_COST)]


def test_it_streams(client, site, tagged):
    stream = client.chat.completions.create(
        model=site.chat,
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
        **tagged,
    )

    *said, last = stream

    assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == "Hello"
    assert (last.usage.total_tokens, last.usage.cost) == (30, 0.00021)
    assert site.logged() == [("chat/completions", CHAT_COST)]


def test_it_calls_tools(client, site, tagged):
    reply = client.chat.completions.create(
        model=site.chat, messages=HELLO, tools=[WEATHER], **tagged
    )

    (call,) = reply.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Paris"}')
    assert site.logged() == [("chat/completions", CHAT_COST)]


def test_it_fills_in_structures(client, site, tagged):
    reply = client.chat.completions.parse(
        model=site.chat, messages=HELLO, response_format=Trip, **tagged
    )

    assert reply.choices[0].message.parsed == Trip(city="Paris", days=3)
    assert site.logged() == [("chat/completions", CHAT_COST)]


def test_it_responds_plain_and_streamed(client, site):
    tagged = {"metadata": None, "extra_body": {"metadata": {"tags": [site.tag]}}}

    reply = client.responses.create(model=site.chat, input="Hello", **tagged)
    stream = client.responses.create(model=site.chat, input="Hello", stream=True, **tagged)

    assert reply.output_text == "Hello!"
    events = list(stream)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "Hello!"
    assert events[-1].response.usage.total_tokens == 30
    assert site.logged() == [("responses", CHAT_COST)] * 2


def test_it_embeds(client, site, tagged):
    reply = client.embeddings.create(
        model=site.embedding, input="Hello", encoding_format="float", **tagged
    )

    assert reply.data[0].embedding == [0.1, 0.2]
    assert site.logged() == [("embeddings", EMBEDDING_COST)]


def test_tags_go_in_a_header_too(site):
    headers = {"x-litellm-tags": site.tag}
    with openai.OpenAI(
        api_key=site.key, base_url=f"{site.url}/v1", default_headers=headers
    ) as client:
        client.chat.completions.create(model=site.chat, messages=HELLO)

    assert site.logged() == [("chat/completions", CHAT_COST)]


def test_it_works_asynchronously(site, tagged):
    async def ask():
        async with openai.AsyncOpenAI(api_key=site.key, base_url=f"{site.url}/v1") as client:
            plain = client.chat.completions.create(model=site.chat, messages=HELLO, **tagged)
            stream = await client.chat.completions.create(
                model=site.chat, messages=HELLO, stream=True, **tagged
            )
            return await plain, [chunk async for chunk in stream]

    reply, chunks = asyncio.run(ask())

    assert reply.usage.total_tokens == 30
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert site.logged() == [("chat/completions", CHAT_COST)] * 2


def test_azures_client_works(site, tagged):
    with openai.AzureOpenAI(
        api_key=site.key, azure_endpoint=site.url, api_version="2024-10-21"
    ) as client:
        reply = client.chat.completions.create(model=site.chat, messages=HELLO, **tagged)

    assert reply.usage.total_tokens == 30
    assert site.logged() == [("chat/completions", CHAT_COST)]
