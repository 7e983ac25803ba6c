"""The gateway in process: a worker on a database that commits, and a function as its provider."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as django_settings

from proxy import directory, rate_counters
from proxy.upstreams.contract import Transport
from spend import lanes, ledger
from tests.committed import Books
from tests.factories import make_key, make_model
from tests.fakes import FakeUpstream
from tests.proxy.driver import Gateway, LoopThread

# What these tests are about is not how fast the machine is that they run on.
PATIENT_SECONDS = 20.0
DEADLINES = (
    (directory, "LOAD_SECONDS_MAX"),
    (lanes, "RESERVE_SECONDS_MAX"),
    (ledger, "RESERVE_SECONDS_MAX"),
    (rate_counters, "ANSWER_SECONDS_MAX"),
)


class Relayed:
    """The transport of the gateway that all tests share: each test puts its own behind it."""

    def __init__(self) -> None:
        self.transport: Transport = FakeUpstream()

    def exchange(self, outbound, timeouts):
        return self.transport.exchange(outbound, timeouts)

    async def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def shared_gateway(loop_thread, committed_database, django_db_blocker):
    """Opened once for all tests; it lives in a thread, so it is on the committed database."""
    relayed = Relayed()
    for module, name in DEADLINES:
        setattr(module, name, PATIENT_SECONDS)
    django_settings.RETRY_PAUSE_SECONDS = 0.001
    django_settings.UNKNOWN_KEYS_PER_MINUTE = 1_000_000
    with django_db_blocker.unblock():
        gateway = Gateway(loop_thread, relayed)
    yield gateway, relayed
    gateway.close()


@pytest.fixture
def upstream(shared_gateway) -> FakeUpstream:
    """Plays the provider; answers like an unremarkable one until it is told otherwise."""
    _, relayed = shared_gateway
    relayed.transport = FakeUpstream()
    return relayed.transport


@pytest.fixture
def gateway(shared_gateway, upstream, books: Books) -> Iterator[Gateway]:
    """At the end of each test all calls are over and all books balance."""
    gateway, _ = shared_gateway
    gateway.hears = True
    yield gateway
    gateway.rest()
    books.check()


@pytest.fixture
def open_gateway(loop_thread, books: Books) -> Iterator[Callable[..., Gateway]]:
    """Opens a further gateway, for tests that need settings of its own or close it."""
    opened = []

    def open_with(transport: Transport | None = None) -> Gateway:
        opened.append(Gateway(loop_thread, transport or FakeUpstream()))
        return opened[-1]

    yield open_with
    for gateway in opened:
        if not gateway.worker.is_closing:
            gateway.close()


@pytest.fixture
def key(books):
    return make_key()


@pytest.fixture
def model(books):
    """2.5 and 10 dollars a million tokens: the usual answer, 12 and 18 of them, costs 210,000."""
    return make_model()
