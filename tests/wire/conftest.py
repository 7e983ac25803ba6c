"""Tests over the wire: a live server, a provider over TCP, real clients."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from proxy.credentials import new_secret
from tests.committed import Books
from tests.engine_room import wait_until
from tests.factories import make_key, make_model
from tests.wire import client
from tests.wire.live import Provider, Server, providing, serving, url_of_database

PREFIX = "scripted/"


@pytest.fixture(scope="session")
def wire_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("wire")


@pytest.fixture(scope="session")
def provider(wire_folder) -> Iterator[Provider]:
    with providing(wire_folder / "bill.jsonl") as provider:
        yield provider
        assert provider.faults() == []


@pytest.fixture(scope="session")
def wire_database_url(committed_database) -> str:
    return url_of_database(os.environ["DATABASE_URL"], committed_database)


@pytest.fixture(scope="session")
def server(wire_folder, wire_database_url) -> Iterator[Server]:
    """One web worker for all tests that do it no harm."""
    with serving(wire_database_url, wire_folder / "server.log") as server:
        yield server


@pytest.fixture(scope="session")
def scripted(committed_database, django_db_blocker, provider) -> str:
    """`scripted/<acts>` is a model whose provider acts; 2.5 and 10 dollars a million tokens."""
    from tests.committed import connected_to

    with django_db_blocker.unblock(), connected_to(committed_database):
        make_model(f"{PREFIX}*", address=provider.address, upstream_model="*")
    return PREFIX


@pytest.fixture
def key(books: Books):
    return make_key()


@pytest.fixture
def run(server: Server, key, books: Books, scripted) -> Iterator[Callable[..., Any]]:
    """Runs `work(client)` to its end; afterwards the books balance."""

    def run_heard(work: Callable[..., Any]) -> Any:
        hear(server)
        return client.run(server.port, key.secret, work)

    yield run_heard
    books.check()


def hear(server: Server) -> None:
    """Until a server of one worker has heard of all rows that were changed before.

    It remembers for seconds that a key is unknown, so it knows the key only when it was told; and
    it is told of changes in their order.
    """
    secret = new_secret()

    async def status(caller: client.Client) -> int:
        return (await caller.call("/v1/models", method="GET")).status

    assert client.run(server.port, secret, status) == 401
    make_key(secret=secret)
    wait_until(lambda: client.run(server.port, secret, status) == 200)


@pytest.fixture
def chat(run) -> Callable[..., Any]:
    """One call of a scripted model."""
    return lambda acts, **members: run(lambda client: client.chat(f"{PREFIX}{acts}", **members))


@pytest.fixture
def master_key() -> str:
    return django_settings.MASTER_KEY
