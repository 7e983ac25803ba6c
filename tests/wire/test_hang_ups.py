"""Clients that hang up, politely or not, and many streams at once, on a live server."""

import asyncio
import resource
from collections import Counter

import pytest

from tests.factories import make_tag, unique
from tests.wire.conftest import PREFIX

STREAM_COST = 12 * 2_500 + 20 * 10_000


def only_row(books, tag):
    (row,) = books.rows_once(tag, 1)
    return row


@pytest.mark.parametrize("how", ["hang_up", "reset"])
@pytest.mark.parametrize("after", [1, 10, 19])
def test_a_stream_that_is_left_is_drained_and_billed_exactly(run, books, provider, how, after):
    tag, mark = make_tag(), unique("mark")

    async def leave(client):
        line = await client.start_chat(f"{PREFIX}stream:20,10", stream=True, tags=[tag], user=mark)
        for _ in range(after):
            await line.read_until(b"word ")
        getattr(line, how)()

    run(leave)

    assert_drained(books, provider, tag, mark)


@pytest.mark.parametrize("how", ["hang_up", "reset"])
def test_so_is_one_that_is_left_before_its_first_byte(run, books, provider, how):
    tag, mark = make_tag(), unique("mark")

    async def leave(client):
        acts = f"{PREFIX}wait:0.4/stream:20,10"
        line = await client.start_chat(acts, stream=True, tags=[tag], user=mark)
        await asyncio.sleep(0.2)
        getattr(line, how)()

    run(leave)

    assert_drained(books, provider, tag, mark)


def assert_drained(books, provider, tag, mark):
    row = only_row(books, tag)
    (billed,) = provider.bill(mark)
    assert (row.status, row.usage_source, row.flags) == ("success", "upstream", ["drained"])
    assert (row.client_disconnected, row.http_status) == (True, 499)
    assert row.cost == billed["cost"] == STREAM_COST


@pytest.mark.parametrize("how", ["hang_up", "reset"])
def test_a_plain_call_that_is_left_runs_to_its_end(run, books, provider, how):
    tag, mark = make_tag(), unique("mark")

    async def leave(client):
        line = await client.start_chat(f"{PREFIX}wait:0.3/ok:12,18", tags=[tag], user=mark)
        await asyncio.sleep(0.1)
        getattr(line, how)()

    run(leave)

    row = only_row(books, tag)
    assert (row.status, row.cost, row.http_status) == ("success", 210_000, 499)
    assert provider.bill(mark)[0]["cost"] == 210_000


def many_streams(run, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    tag, mark = make_tag(), unique("mark")

    async def stream_all(client):
        return await asyncio.gather(
            *(
                client.chat(f"{PREFIX}stream:20,100", stream=True, tags=[tag], user=f"{mark}-{n}")
                for n in range(count)
            )
        )

    return tag, mark, run(stream_all)


def assert_all_whole(books, provider, tag, mark, answers):
    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert {answer.events[-1] for answer in answers} == {"[DONE]"}
    assert {answer.body.count(b"word ") for answer in answers} == {20}
    rows = books.rows_once(tag, len(answers))
    assert Counter((row.status, row.cost) for row in rows) == {
        ("success", STREAM_COST): len(answers)
    }
    assert len(provider.bill(f"{mark}-")) == len(answers)


def test_300_streams_at_once(run, books, provider):
    assert_all_whole(books, provider, *many_streams(run, 300))


@pytest.mark.slow
def test_1000_streams_at_once(run, books, provider):
    assert_all_whole(books, provider, *many_streams(run, 1_000))


def test_200_hang_ups_at_once_leave_nothing_behind(run, books, provider):
    """64 are drained; of the others what was delivered is counted, and none is free."""
    tag, mark = make_tag(), unique("mark")

    async def leave_all(client):
        lines = await asyncio.gather(
            *(
                client.start_chat(
                    f"{PREFIX}stream:20,100", stream=True, tags=[tag], user=f"{mark}-{n}"
                )
                for n in range(200)
            )
        )
        await asyncio.gather(*(line.read_until(b"word ") for line in lines))
        for line in lines:
            line.reset()

    run(leave_all)

    rows = books.rows_once(tag, 200)
    kinds = Counter((row.status, row.usage_source) for row in rows)
    assert kinds["success", "upstream"] >= 64
    assert kinds["success", "upstream"] + kinds["estimated", "counted"] == 200
    assert all(row.cost > 0 and row.client_disconnected for row in rows)
    assert run(lambda client: client.chat(f"{PREFIX}ok:1,1")).status == 200
