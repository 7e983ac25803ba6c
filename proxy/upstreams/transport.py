"""The wire to upstreams: connections that are kept for the next call, and an exchange over one.

An HTTP client of our own. The fastest one to be had runs its loop in a thread of its own, and the
way there and back cost more than all that happens here (README, D23).
"""

import asyncio
import ssl
from asyncio.staggered import staggered_race
from functools import cached_property, partial
from types import TracebackType

import certifi

from proxy.addresses import BadAddress, allowed_hosts
from proxy.upstreams.connection import Connection
from proxy.upstreams.contract import (
    Outbound,
    Reply,
    Timeouts,
    Unsent,
    collect,
)
from proxy.upstreams.target import Target, target_of, write_request

IDLE_MAX = 512  # connections to one upstream
IDLE_SECONDS = 60.0
LOOK_SECONDS = 10.0  # how often those that are idle for too long are looked for
NEXT_ADDRESS_SECONDS = 0.25  # after that the next address of a host is tried as well

Place = tuple[str, int, bool]


class WireTransport:
    """A web worker's connections to all upstreams."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[Connection]] = {}
        self._looking: asyncio.TimerHandle | None = None

    def exchange(self, outbound: Outbound, timeouts: Timeouts) -> "WireExchange":
        return WireExchange(self, outbound, timeouts)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # closing takes a turn of the event loop

    # -- for the exchange --------------------------------------------------------------------------

    async def connect(self, target: Target, seconds_max: float) -> Connection:
        """One that is idle, the latest first, or a new one. Raises Unsent."""
        kept = self._idle.get((target.host, target.port, target.is_encrypted))
        while kept:
            connection = kept.pop()
            if connection.is_open:
                return connection
        try:
            async with asyncio.timeout(seconds_max):
                return await self._dial(target)
        except (OSError, TimeoutError, UnicodeError, BadAddress) as error:
            raise Unsent("no connection") from error

    def give_back(self, connection: Connection, target: Target) -> None:
        if not connection.may_serve_again:
            connection.close()
            return
        place = (target.host, target.port, target.is_encrypted)
        kept = self._idle.setdefault(place, [])
        if len(kept) >= IDLE_MAX:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.rest()
        connection.idle_since = loop.time()
        kept.append(connection)
        if self._looking is None:
            self._looking = loop.call_later(LOOK_SECONDS, self._close_idle)

    # -- connections -------------------------------------------------------------------------------

    async def _dial(self, target: Target) -> Connection:
        """A host's addresses are tried one after the other, each with a short start.

        They are asked for once, and those that were judged are those that are called: a name
        that means another address a moment later gains nothing.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, proto=6)
        addresses = allowed_hosts(dict.fromkeys(str(at[0]) for *_, at in found))
        if len(addresses) == 1:
            return await self._dial_address(target, addresses[0])
        dials = [partial(self._dial_address, target, address) for address in addresses]
        connection: Connection | None
        connection, _, errors = await staggered_race(dials, NEXT_ADDRESS_SECONDS)
        if connection is None:
            raise next((e for e in errors if isinstance(e, OSError)), OSError("no address"))
        return connection

    async def _dial_address(self, target: Target, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        if not target.is_encrypted:
            _, connection = await loop.create_connection(Connection, address, target.port)
        else:
            _, connection = await loop.create_connection(
                Connection, address, target.port, ssl=self._tls, server_hostname=target.host
            )
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Trusts whom the system trusts, and whom everybody does: slim images know nobody."""
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - IDLE_SECONDS
        for place, kept in list(self._idle.items()):
            old = [connection for connection in kept if connection.idle_since < since]
            for connection in old:
                connection.close()
            # The latest is used first, so the old ones stand in front.
            self._idle[place] = [one for one in kept[len(old) :] if one.is_open]
            if not self._idle[place]:
                del self._idle[place]
        self._looking = loop.call_later(LOOK_SECONDS, self._close_idle) if self._idle else None


class WireExchange(Reply):
    """Entered, it is the upstream's reply."""

    def __init__(self, transport: WireTransport, outbound: Outbound, timeouts: Timeouts) -> None:
        self._transport = transport
        self._outbound = outbound
        self._timeouts = timeouts
        self._connection: Connection | None = None

    async def __aenter__(self) -> "WireExchange":
        timeouts = self._timeouts
        now = asyncio.get_running_loop().time
        started = now()
        self._deadline = started + timeouts.total_seconds
        head_seconds = min(timeouts.first_byte_seconds, timeouts.total_seconds)
        try:
            self._target = target_of(self._outbound.url)
            request = write_request(self._target, self._outbound)
        except ValueError:  # its text may hold the header that was wrong, a credential even
            raise Unsent("the address or a header cannot be used") from None
        connection = await self._transport.connect(
            self._target, min(timeouts.connect_seconds, head_seconds)
        )
        self._connection = connection
        self._now = now
        try:
            connection.ask(request)
            if not isinstance(self._outbound.body, bytes):
                await connection.send_on(self._outbound.body, started + head_seconds - now())
            await connection.wait_for_head(started + head_seconds - now())
        finally:
            if not connection.has_head:
                connection.close()
        self.status: int = connection.status
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._transport.give_back(self._connection, self._target)

    def header(self, name: str) -> str | None:
        assert self._connection is not None
        value = self._connection.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    async def read_chunk(self) -> bytes | None:
        assert self._connection is not None
        seconds = min(self._timeouts.between_chunks_seconds, self._deadline - self._now())
        return await self._connection.read(seconds)

    async def read_whole(self, *, bytes_max: int) -> bytes:
        return await collect(self, bytes_max=bytes_max)
