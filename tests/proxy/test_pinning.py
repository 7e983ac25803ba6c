"""Pinning: the address that was judged is the one that is called, however often a name turns."""

import asyncio
import socket
from contextlib import suppress

import pytest

from proxy.addresses import BadAddress
from proxy.upstreams.contract import Outbound, Timeouts, Unsent
from proxy.upstreams.transport import WireTransport

TIMEOUTS = Timeouts(5, 5, 5, 5)
FOUND = (
    b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/elsewhere\r\ncontent-length: 0\r\n\r\n"
)
CLOSE = b"\r\nconnection: close\r\n\r\n"


class Resolver:
    """Answers each question with the next of what it was given, and the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def __call__(self, host, port, **options):
        self.asked.append(host)
        ips = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]


def call(resolver, *, times=1, keeps=True):
    """The heads that a loopback upstream received, and how the last call ended."""
    heads, served, end = [], [], None

    async def serve(reader, writer):
        served.append(asyncio.current_task())
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await reader.readexactly(2)
        writer.write(FOUND % port if keeps else (FOUND % port).replace(b"\r\n\r\n", CLOSE))
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def run():
        nonlocal end, port
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = WireTransport()
        asyncio.get_running_loop().getaddrinfo = resolver
        try:
            for _ in range(times):
                url = f"http://models.example:{port}/v1"
                async with transport.exchange(Outbound(url, {}, b"{}"), TIMEOUTS) as reply:
                    end = reply.status
                    await reply.read_whole(bytes_max=100)
        except Unsent as error:
            end = error
        finally:
            await transport.close()
            server.close()
            await asyncio.gather(*served)

    port = 0
    asyncio.run(run())
    return heads, end


def test_it_asks_once_calls_what_it_was_told_and_follows_nothing():
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])

    heads, status = call(resolver)

    assert resolver.asked == ["models.example"]
    assert status == 302
    assert len(heads) == 1  # nobody went where the answer points
    assert "\r\nhost: models.example:" in heads[0]


def test_it_judges_each_new_connection_anew():
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])

    heads, end = call(resolver, times=2, keeps=False)

    assert len(heads) == 1
    assert isinstance(end.__cause__, BadAddress)


@pytest.mark.parametrize(
    "turned",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        ["0.0.0.0"],
        ["100.100.100.200"],
        [],
    ],
)
def test_a_public_name_that_turns_private_gets_no_connection(settings, turned):
    settings.PRIVATE_UPSTREAMS = False

    heads, end = call(Resolver(turned))

    assert heads == []
    assert isinstance(end.__cause__, BadAddress)


@pytest.mark.parametrize("turned", [["169.254.169.254"], ["::ffff:169.254.169.254"], ["0.0.0.0"]])
def test_what_nobody_may_call_is_refused_where_private_ones_are_allowed(turned):
    heads, end = call(Resolver(turned))

    assert heads == []
    assert isinstance(end.__cause__, BadAddress)
