"""The wire to upstreams: what cannot be sent is told as unsent, and tells no secret."""

import asyncio
import traceback

import pytest

from proxy.upstreams.contract import Outbound, Timeouts, Unsent
from proxy.upstreams.transport import WireTransport

SECRET = "sk-planted-provider-secret"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:9/v1", {"authorization": f"Bearer {SECRET}\n"}),
        ("http://[::1/v1", {"authorization": f"Bearer {SECRET}"}),
        ("", {"authorization": f"Bearer {SECRET}"}),
    ],
)
def test_what_cannot_be_sent_is_unsent_and_tells_no_secret(url, headers):
    async def send():
        transport = WireTransport(connect_seconds=1)
        try:
            async with transport.exchange(Outbound(url, headers, b"{}"), Timeouts(1, 1, 1, 1)):
                pass
        finally:
            await transport.close()

    with pytest.raises(Unsent) as raised:
        asyncio.run(send())

    assert SECRET not in "".join(traceback.format_exception(raised.value))
