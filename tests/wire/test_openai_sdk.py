"""The OpenAI SDK against a live server: plain, streaming, asynchronous, and its exceptions."""

import asyncio

import openai
import pytest

from proxy.models import APIKey
from tests.factories import make_key, make_model, make_tag, unique
from tests.wire.conftest import PREFIX, hear

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(server, key, scripted, books):
    hear(server)
    with openai.OpenAI(api_key=key.secret, base_url=f"{server.url}/v1") as client:
        yield client
    books.check()


def model(acts):
    return f"{PREFIX}{acts}"


def tagged(tag):
    return {"metadata": {"tags": [tag.name]}}


def test_it_works(client, books, key):
    response = client.chat.completions.create(model=model("ok:12,18"), messages=HELLO)

    books.rest()
    assert response.choices[0].message.content.startswith("word ")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (12, 18)
    assert books.spent(key) == 210_000


def test_it_tells_what_a_call_cost(client, books):
    raw = client.chat.completions.with_raw_response.create(model=model("ok:12,18"), messages=HELLO)

    assert raw.headers["x-litellm-response-cost"] == "0.00021"
    assert raw.parse().id == books.row(raw.headers["x-request-id"]).upstream_request_id


def test_it_streams(client, books, key):
    with client.chat.completions.create(
        model=model("stream:20,1"), messages=HELLO, stream=True
    ) as stream:
        chunks = list(stream)

    books.rest()
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "word " * 20
    assert all(c.usage is None for c in chunks)
    (row,) = rows_of(key)
    assert (row.status, row.cost) == ("success", 12 * 2_500 + 20 * 10_000)
    assert (row.client_disconnected, row.http_status) == (False, 200)


def test_it_streams_with_the_usage_that_was_asked_for(client):
    with client.chat.completions.create(
        model=model("stream:20,0"),
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        *_, last = stream

    assert last.choices == []
    assert (last.usage.completion_tokens, last.usage.cost) == (20, 0.00023)


def test_a_stream_that_is_closed_early_is_billed(client, books, key):
    stream = client.chat.completions.create(model=model("stream:50,5"), messages=HELLO, stream=True)
    next(iter(stream))

    stream.close()

    books.rest()
    (row,) = rows_of(key)
    assert (row.status, row.flags, row.client_disconnected) == ("success", ["drained"], True)
    assert row.cost == 12 * 2_500 + 50 * 10_000


def test_it_works_asynchronously(server, key, scripted, books):
    async def calls():
        async with openai.AsyncOpenAI(api_key=key.secret, base_url=f"{server.url}/v1") as client:
            plain = await client.chat.completions.create(model=model("ok:12,18"), messages=HELLO)
            stream = await client.chat.completions.create(
                model=model("stream:5,0"), messages=HELLO, stream=True
            )
            async with stream:
                return plain, [chunk async for chunk in stream]

    plain, chunks = asyncio.run(calls())

    books.check()
    assert plain.usage.total_tokens == 30
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "word " * 5
    assert books.spent(key) == 210_000 + 12 * 2_500 + 5 * 10_000


def test_it_lists_models(client, server, books):
    made = make_model()
    hear(server)

    assert made.model_name in [found.id for found in client.models.list()]
    assert client.models.retrieve(model("ok:1,1")).owned_by == "openai"


def test_azures_client_works(server, key, scripted, books):
    with openai.AzureOpenAI(
        api_key=key.secret, azure_endpoint=server.url, api_version="2024-10-21"
    ) as client:
        response = client.chat.completions.create(model=model("ok:12,18"), messages=HELLO)

    books.check()
    assert response.usage.total_tokens == 30


# -- exceptions ----------------------------------------------------------------------------------


def test_over_budget_is_a_bad_request_and_not_retried(client, server, books, provider):
    tag, mark = make_tag(limit="0"), unique("mark")
    hear(server)

    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(
            model=model("ok:1,1"), messages=HELLO, user=mark, extra_body=tagged(tag)
        )

    assert refusal.value.type == "budget_exceeded"
    assert refusal.value.code == "400"
    assert [row.status for row in books.rows_once(tag, 1)] == ["refused"]
    assert provider.bill(mark) == []


def test_an_unknown_key_is_an_authentication_error(server, scripted):
    with (
        openai.OpenAI(api_key="sk-wrong", base_url=f"{server.url}/v1") as client,
        pytest.raises(openai.AuthenticationError) as refusal,
    ):
        client.chat.completions.create(model=model("ok:1,1"), messages=HELLO)

    assert refusal.value.type == "auth_error"


def test_a_blocked_key_is_an_authentication_error(server, scripted, books):
    key = make_key(columns={"blocked": True})

    with (
        openai.OpenAI(api_key=key.secret, base_url=f"{server.url}/v1") as client,
        pytest.raises(openai.AuthenticationError) as refusal,
    ):
        client.chat.completions.create(model=model("ok:1,1"), messages=HELLO)

    assert refusal.value.type == "key_blocked"
    assert APIKey.objects.get(id=key.id).blocked


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refusal:
        client.chat.completions.create(model="no-such-model", messages=HELLO)

    assert (refusal.value.type, refusal.value.param) == ("model_not_found", "model")


def test_a_blocked_tag_is_a_permission_denied(client, server, books):
    tag = make_tag(columns={"blocked": True})
    hear(server)

    with pytest.raises(openai.PermissionDeniedError) as refusal:
        client.chat.completions.create(
            model=model("ok:1,1"), messages=HELLO, extra_body=tagged(tag)
        )

    assert refusal.value.type == "tag_blocked"


@pytest.mark.parametrize(
    ("acts", "exception"),
    [
        ("status:400", openai.BadRequestError),
        ("status:404", openai.NotFoundError),
        ("status:422", openai.UnprocessableEntityError),
        ("status:429", openai.RateLimitError),
        ("status:500", openai.InternalServerError),
        ("status:401", openai.InternalServerError),  # ours is refused, not the client's
    ],
)
def test_an_upstreams_error_is_what_it_would_be_without_us(client, acts, exception):
    patient = client.with_options(max_retries=0)

    with pytest.raises(exception) as refusal:
        patient.chat.completions.create(model=model(acts), messages=HELLO)

    assert isinstance(refusal.value.body["code"], str)


def test_a_stream_that_breaks_raises(client, books, key):
    with (
        pytest.raises(openai.APIError, match="closed the stream early"),
        client.chat.completions.create(
            model=model("stream:9,0/rst:3"), messages=HELLO, stream=True
        ) as stream,
    ):
        list(stream)

    books.rest()
    assert rows_of(key)[0].status == "estimated"


def test_a_retried_call_is_a_call_of_its_own(client, books, key):
    """Each arrival is a call, a row and a charge."""
    with pytest.raises(openai.InternalServerError):
        client.with_options(max_retries=1).chat.completions.create(
            model=model("status:500"), messages=HELLO
        )

    books.rest()
    assert [row.status for row in rows_of(key)] == ["failure", "failure"]


def rows_of(key):
    from spend.models import SpendLog

    return list(SpendLog.objects.filter(key_id=key.id).order_by("id"))
