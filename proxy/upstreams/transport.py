"""The wire to upstreams: the only file that knows the HTTP client."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    ConnectTimeoutError,
    PoolTimeoutError,
    PyreqwestError,
)

from proxy.upstreams.contract import (
    Broken,
    Outbound,
    Reply,
    Silent,
    Timeouts,
    Unsent,
    collect,
)

CONNECTIONS_IDLE_MAX = 512
IDLE_SECONDS = 60
USER_AGENT = "tollgate"  # some providers' front doors turn away who has none
# The head of an answer comes with as many bytes of it: a plain one whole, in one go, a stream at
# once.
ANSWER_BUFFER_BYTES = 64 * 1024
# Before the head the client calls any end of its total time a failed connection, after which a call
# would count as unsent. So we keep the time ourselves, and its own is far behind ours.
NET_SECONDS = 10
STREAM_BUFFER_BYTES = 0


class WireTransport:
    """A web worker's connections to all upstreams: a pool for each time that one may take."""

    def __init__(self, *, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._client = self._open(connect_seconds)
        self._others: dict[float, Client] = {}  # a deployment's time is whole seconds, up to 60

    @staticmethod
    def _open(connect_seconds: float) -> Client:
        return (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=connect_seconds))
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .pool_max_idle_per_host(CONNECTIONS_IDLE_MAX)
            .max_connections(None)
            .follow_redirects(False)
            .no_proxy()
            .http1_only()
            .tcp_nodelay(True)
            .gzip(False)
            .brotli(False)
            .deflate(False)
            .zstd(False)
            .referer(False)
            .default_cookie_store(False)
            .user_agent(USER_AGENT)
            .build()
        )

    def exchange(self, outbound: Outbound, timeouts: Timeouts) -> "WireExchange":
        if timeouts.connect_seconds == self._connect_seconds:
            return WireExchange(self._client, outbound, timeouts)
        seconds = timeouts.connect_seconds
        if seconds not in self._others:
            self._others[seconds] = self._open(seconds)
        return WireExchange(self._others[seconds], outbound, timeouts)

    async def close(self) -> None:
        for client in (self._client, *self._others.values()):
            await client.close()


class WireExchange:
    def __init__(self, client: Client, outbound: Outbound, timeouts: Timeouts) -> None:
        self._client = client
        self._outbound = outbound
        self._timeouts = timeouts
        self._stream: Any = None

    async def __aenter__(self) -> "WireReply":
        buffer_bytes = STREAM_BUFFER_BYTES if self._outbound.stream else ANSWER_BUFFER_BYTES
        timeouts = self._timeouts
        now = asyncio.get_running_loop().time
        deadline = now() + timeouts.total_seconds
        try:
            builder = self._client.post(self._outbound.url).headers(dict(self._outbound.headers))
            self._stream = (
                builder.body_bytes(self._outbound.body)
                .timeout(timedelta(seconds=timeouts.total_seconds + NET_SECONDS))
                .streamed_read_buffer_limit(buffer_bytes)
                .build_streamed()
            )
        except ValueError:  # its text may hold the header that was wrong, a credential even
            raise Unsent("the address or a header cannot be used") from None
        try:
            async with asyncio.timeout(min(timeouts.first_byte_seconds, timeouts.total_seconds)):
                response = await self._stream.__aenter__()
        except (ConnectError, ConnectTimeoutError, PoolTimeoutError) as error:
            raise Unsent("no connection") from error
        except TimeoutError as error:
            raise Silent("nothing came back in time") from error
        except PyreqwestError as error:
            raise Broken("the connection broke before the answer") from error
        return WireReply(response, timeouts.between_chunks_seconds, deadline, now)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)


class WireReply(Reply):
    def __init__(
        self, response: Any, gap_seconds: float, deadline: float, now: Callable[[], float]
    ) -> None:
        self._response = response
        self._reader = response.body_reader
        self._header = response.get_header
        self._gap_seconds = gap_seconds
        self._deadline = deadline
        self._now = now
        self.status: int = response.status

    def header(self, name: str) -> str | None:
        value: str | None = self._header(name)
        return value

    async def read_chunk(self) -> bytes | None:
        chunk = await self._read(self._reader.read_chunk())
        return None if chunk is None else bytes(chunk)

    async def read_whole(self, *, bytes_max: int) -> bytes:
        length = self._header("content-length") or ""
        if length.isdigit() and int(length) <= ANSWER_BUFFER_BYTES <= bytes_max:
            return bytes(await self._read(self._response.bytes()))  # it has come with its head
        return await collect(self, bytes_max=bytes_max)

    async def _read(self, reading: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout_at(min(self._now() + self._gap_seconds, self._deadline)):
                return await reading
        except TimeoutError as error:
            raise Silent("the answer fell silent") from error
        except PyreqwestError as error:
            raise Broken("the connection broke within the answer") from error
