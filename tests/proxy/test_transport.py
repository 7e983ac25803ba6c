"""The wire to upstreams: what cannot be sent is told as unsent, and tells no secret."""

import asyncio
import traceback
from functools import partial

import pytest

from proxy.upstreams.contract import Outbound, Silent, Timeouts, Unsent
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
