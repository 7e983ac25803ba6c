"""Revocation: a key that is blocked, deleted or replaced is refused by every worker in a second."""

import asyncio
import time

import pytest
import requests
from django.conf import settings as django_settings

from tests.factories import make_key
from tests.wire import client
from tests.wire.live import HEARD_SECONDS, serving

WORKERS, LINES = 2, 24  # so many connections that each worker has some
SECONDS_MAX = 1.0
ENDS = {
    "block": lambda key: ("/key/block", {"key": key.digest}),
    "delete": lambda key: ("/key/delete", {"keys": [key.digest]}),
    "replace": lambda key: ("/key/regenerate", {"key": key.digest}),
    "expire": lambda key: ("/key/update", {"key": key.digest, "duration": "1s"}),
}


@pytest.fixture(scope="module")
def two_workers(wire_folder, wire_database_url):
    with serving(wire_database_url, wire_folder / "revoked.log", workers=WORKERS) as server:
        yield server


def statuses_until_all_refuse(server, key, change) -> tuple[float, set[int]]:
    """Seconds until no connection is served, and what all were answered once that was so."""

    async def work(caller):
        lines = await asyncio.gather(*(caller.connect() for _ in range(LINES)))
        request = caller.request("/v1/models", None, method="GET")
        assert {(await line.ask(request)).status for line in lines} == {200}
        await asyncio.to_thread(change)
        began = time.monotonic()
        while True:
            found = {(await line.ask(request)).status for line in lines}
            if 200 not in found or time.monotonic() - began > 10:
                break
        caller.idle += lines
        return time.monotonic() - began, found

    return client.run(server.port, key.secret, work)


@pytest.mark.parametrize("how", ENDS)
def test_it_reaches_every_worker_within_a_second(two_workers, books, how):
    key = make_key()
    time.sleep(HEARD_SECONDS)
    path, body = ENDS[how](key)

    def change():
        answer = requests.post(
            f"{two_workers.url}{path}", json=body, timeout=10,
            headers={"authorization": f"Bearer {django_settings.MASTER_KEY}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    seconds, found = statuses_until_all_refuse(two_workers, key, change)

    assert found == {401}
    assert seconds < SECONDS_MAX + (1 if how == "expire" else 0)
