"""Anthropic's SDK: messages, plain and streamed, and its errors."""

import anthropic
import pytest

from tests.sdk.conftest import MESSAGE_COST

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(site):
    with anthropic.Anthropic(api_key=site.key, base_url=site.url) as client:
        yield client


def test_it_works(client, site):
    said = client.messages.create(
        model=site.claude, max_tokens=64, messages=HELLO,
        extra_headers={"x-litellm-tags": site.tag},
    )  # fmt: skip

    assert said.content[0].text == "Hello!"
    assert site.logged() == [("messages", MESSAGE_COST)]


def test_it_streams(client, site):
    with client.messages.stream(
        model=site.claude, max_tokens=64, messages=HELLO,
        extra_body={"metadata": {"user_id": "u-1", "tags": [site.tag]}},
    ) as stream:  # fmt: skip
        text = "".join(stream.text_stream)
        usage = stream.get_final_message().usage

    assert (text, usage.output_tokens) == ("Hello!", 18)
    assert site.logged() == [("messages", MESSAGE_COST)]


def test_it_understands_our_errors(client, site):
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(model="claude-9", max_tokens=64, messages=HELLO)

    assert raised.value.body["error"]["type"] == "model_not_found"
    assert raised.value.body["request_id"] == raised.value.response.headers["x-request-id"]


def test_it_lists_models(client, site):
    assert site.claude in [model.id for model in client.models.list()]
    assert client.models.retrieve(site.claude).display_name == site.claude
