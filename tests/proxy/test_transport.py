"""The wire to upstreams: what cannot be sent is told as unsent, and tells no secret."""

import asyncio
import traceback
from functools import partial

import pytest

from proxy.upstreams.contract import Broken, Outbound, Silent, Timeouts, Unsent
from proxy.upstreams.transport import WireTransport

SECRET = "sk-planted-provider-secret"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:9/v1", {"authorization": f"Bearer {SECRET}\n"}),
        ("http://[::1/v1", {"authorization": f"Bearer {SECRET}"}),
        ("", {"authorization": f"Bearer {SECRET}"}),
        ("ftp://127.0.0.1:9/", {"authorization": f"Bearer {SECRET}"}),
        ("127.0.0.1:9/v1", {"authorization": f"Bearer {SECRET}"}),
        ("http://", {"authorization": f"Bearer {SECRET}"}),
        ("http://127.0.0.1:x/", {"authorization": f"Bearer {SECRET}"}),
        ("http://127.0.0.1:99999/", {"authorization": f"Bearer {SECRET}"}),
        ("http://127.0.0.1:9/", {"authorization": f"Bearer {SECRET}\r\nx: y"}),
        ("http://127.0.0.1:9/", {"authorization": f"Bearer {SECRET}\r"}),
        ("http://127.0.0.1:9/", {"authorization": f"Bearer {SECRET}\0"}),
        ("http://127.0.0.1:9/", {"authorization": f"Bearer {SECRET}\u20ac"}),
    ],
)
def test_what_cannot_be_sent_is_unsent_and_tells_no_secret(url, headers):
    async def send():
        transport = WireTransport()
        try:
            async with transport.exchange(Outbound(url, headers, b"{}"), Timeouts(1, 1, 1, 1)):
                pass
        finally:
            await transport.close()

    with pytest.raises(Unsent, match="cannot be used") as raised:
        asyncio.run(send())

    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("says", "timeouts"),
    [
        (b"", Timeouts(5, 5, 5, 0.1)),
        (b"", Timeouts(5, 0.1, 5, 0.2)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", Timeouts(5, 5, 0.1, 5)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", Timeouts(5, 5, 5, 0.1)),
    ],
    ids=["total before the head", "first byte", "gap", "total within the answer"],
)
def test_a_silence_behind_the_request_is_never_told_as_unsent(says, timeouts):
    async def stay_silent(reader, writer, has_left):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(says)
        await reader.read()
        writer.close()
        has_left.set()

    async def send():
        has_left = asyncio.Event()
        silence = partial(stay_silent, has_left=has_left)
        server = await asyncio.start_server(silence, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        transport = WireTransport()
        try:
            async with transport.exchange(Outbound(url, {}, b"{}", True), timeouts) as reply:
                await reply.read_whole(bytes_max=100)
        finally:
            await transport.close()
            await has_left.wait()
            server.close()

    with pytest.raises(Silent):
        asyncio.run(send())


# -- long bodies ---------------------------------------------------------------------------------


class Long:
    """A body of many pieces; `given` counts those that were asked for."""

    def __init__(self, pieces: int = 80) -> None:
        self.pieces, self.given = pieces, 0
        self.size = pieces * 64 * 1024

    def chunks(self):
        for _ in range(self.pieces):
            self.given += 1
            yield b"x" * (64 * 1024)


def send_long(serve, body, timeouts=Timeouts(5, 5, 5, 5)):  # noqa: B008 - a value
    """The status of the answer, and whether the connection is kept."""

    async def send():
        ended = asyncio.Event()

        async def serve_and_end(reader, writer):
            try:
                await serve(reader, writer)
                await writer.drain()
            finally:
                writer.close()
                ended.set()

        server = await asyncio.start_server(serve_and_end, "127.0.0.1", 0, limit=2**16)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        transport = WireTransport()
        try:
            async with transport.exchange(Outbound(url, {}, body), timeouts) as reply:
                await reply.read_whole(bytes_max=100)
            return reply.status, any(transport._idle.values())
        finally:
            await transport.close()
            await ended.wait()
            server.close()

    return asyncio.run(send())


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def test_a_long_body_goes_no_faster_than_it_is_taken():
    body, seen = Long(), []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        seen.append(body.given)
        seen.append(len(await reader.readexactly(body.size)))
        writer.write(OK)
        assert f"content-length: {body.size}".encode() in head

    assert send_long(serve, body) == (200, True)
    assert seen[0] < body.pieces
    assert seen[1] == body.size


def test_an_answer_before_its_end_ends_a_long_body():
    body = Long(2_000)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await reader.read(100)

    assert send_long(serve, body) == (413, False)  # the rest of it would be taken for a request
    assert body.given < body.pieces


def test_a_long_body_that_nobody_takes_is_silence():
    async def serve(reader, writer):
        await asyncio.sleep(0.5)

    with pytest.raises(Silent):
        send_long(serve, Long(2_000), Timeouts(5, 0.2, 5, 5))


def test_an_upstream_that_hangs_up_within_a_long_body_broke():
    async def serve(reader, writer):
        await reader.read(100)  # who closes with something unread resets

    with pytest.raises(Broken):
        send_long(serve, Long(2_000))
